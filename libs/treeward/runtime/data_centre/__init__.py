"""A whole data centre on one machine: NATS, the device simulator and every service, each as its own process.

`folder` keeps what survives a restart, `layout` says which programs there are, `child` is one of them, `centre` starts,
mends and ends all of them, `leash` sees to it that none outlives the program that started it.
"""
