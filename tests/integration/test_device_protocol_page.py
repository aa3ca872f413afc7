"""What docs/device-protocol.md shows is said to a real device, and what it answers is what the page shows."""

import asyncio
import json
import re
from pathlib import Path

from tests.support.device import simulator

PAGE = Path(__file__).parents[2] / "docs" / "device-protocol.md"


async def test_the_page_says_what_a_device_answers(tmp_path: Path) -> None:
    said = "".join(re.findall(r"```conversation\n(.*?)```", PAGE.read_text(), re.DOTALL)).splitlines()
    assert len(said) >= 18
    async with simulator(tmp_path, listen=f"unix://{tmp_path / 'device'}") as device:
        await device.host()
        reader, writer = await asyncio.open_unix_connection(tmp_path / "device")
        for line in said:
            if line.startswith("> "):
                writer.write(line[2:].encode() + b"\n")
                continue
            assert line.startswith("< ")
            answer = json.loads(await asyncio.wait_for(reader.readline(), 30))
            shown = json.loads(line[2:])
            assert {name: answer.get(name, False if name == "exists" else None) for name in shown} == shown, line
        writer.close()
