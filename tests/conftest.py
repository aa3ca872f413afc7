"""What holds for every test."""

from hypothesis import HealthCheck, settings

# A case that takes long on a busy machine is not wrong: times belong into bench/.
settings.register_profile("treeward", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("treeward")
