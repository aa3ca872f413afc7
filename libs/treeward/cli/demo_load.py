"""The load of the demo: VMs and volumes with a life each, drawn from a seed."""

import json
from dataclasses import dataclass
from random import Random
from typing import Any


@dataclass(frozen=True, slots=True)
class Life:
    """Everything that one resource is asked, in order."""

    zone: str
    key: str
    units: tuple[bytes, ...]


def unit(operation: str, spec: dict[str, Any] | None = None, **fields: Any) -> bytes:
    """A body."""
    body: dict[str, Any] = {"operation": operation, **fields}
    if spec is not None:
        body["spec"] = spec
    return json.dumps(body).encode()


def draw_lives(chance: Random, zones: list[str], *, vms: int, volumes: int) -> list[Life]:
    """Lives of `vms` VMs and `volumes` volumes, dealt to the zones in turn; each volume belongs to a VM that stays."""
    lives: list[Life] = []
    staying: dict[str, list[str]] = {zone: [] for zone in zones}
    for number in range(vms):
        zone = zones[number % len(zones)]
        stays = number < vms * 2 // 3
        lives.append(Life(zone, f"vm.load-{number}", tuple(_life_of_vm(chance, stays=stays))))
        if stays:
            staying[zone].append(f"load-{number}")
    for number in range(volumes):
        zone = zones[number % len(zones)]
        vm = chance.choice(staying[zone])
        lives.append(Life(zone, f"volume.disk-{number}", tuple(_life_of_volume(chance, vm))))
    return lives


def _life_of_vm(chance: Random, *, stays: bool) -> list[bytes]:
    spec = {"cpus": chance.choice([0.5, 1, 2]), "memory_mib": chance.choice([256, 512, 1024]), "spread": "load"}
    units, running = [unit("create", spec)], True
    for _ in range(chance.randint(4, 7)):
        if chance.random() < 0.3:
            units.append(unit("resize", {"memory_mib": chance.choice([256, 512, 768, 1024])}))
        elif chance.random() < 0.1:
            units.append(unit("start" if running else "stop"))  # it is so already: the device refuses, `failed`
        else:
            units.append(unit("stop" if running else "start"))
            running = not running
    return units if stays else [*units, unit("destroy")]


def _life_of_volume(chance: Random, vm: str) -> list[bytes]:
    size_gib = chance.randint(1, 8)
    units = [
        unit("create", {"size_gib": size_gib}),
        unit("attach", {"vm": vm}),
        unit("resize", {"size_gib": 2 * size_gib}),
    ]
    if chance.random() < 0.5:
        units += [unit("detach", {"vm": vm}), unit("destroy")]
    return units
