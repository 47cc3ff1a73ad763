"""S3 for tests: SeaweedFS and moto's server, both with conditional writes."""

from __future__ import annotations

import json
from pathlib import Path

import urllib3

from servers import programs
from servers.processes import Running, started

ACCESS, SECRET = "test-access", "test-secret-key"
BUCKET = "sealpipe"
ENVIRON = {
    "AWS_ACCESS_KEY_ID": ACCESS,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
_READER = {"accessKey": "reader-access", "secretKey": "reader-secret-key"}


def _answers(url: str) -> bool:
    pool = urllib3.PoolManager(retries=False, timeout=2.0)
    try:
        return pool.request("GET", url).status < 500
    except urllib3.exceptions.HTTPError:
        return False


def start_weed(folder: Path) -> Running:
    """SeaweedFS. The client of ENVIRON may do everything; `BUCKET` is there."""

    def make(ports: list[int]) -> Running:
        (folder / "data").mkdir(parents=True, exist_ok=True)
        admin = {
            "name": "admin",
            "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        reader = {"name": "reader", "credentials": [_READER], "actions": ["Read", "List"]}
        (folder / "s3.json").write_text(json.dumps({"identities": [admin, reader]}))
        master, volume, filer, s3, *rpc = ports
        command = [str(programs.find("weed")), "server", "-dir", str(folder / "data")]
        command += ["-ip", "127.0.0.1", "-ip.bind", "127.0.0.1", "-filer", "-s3"]
        command += [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"]
        command += [f"-s3.port={s3}", f"-master.port.grpc={rpc[0]}", f"-volume.port.grpc={rpc[1]}"]
        command += [
            f"-filer.port.grpc={rpc[2]}",
            f"-s3.port.grpc={rpc[3]}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ]
        command += [f"-s3.config={folder / 's3.json'}", "-volume.max=300", "-master.volumeSizeLimitMB=64"]
        command += ["-master.volumePreallocate=false", "-master.telemetry=false"]
        url = f"http://127.0.0.1:{s3}"
        return Running(
            "weed", f"127.0.0.1:{s3}", command, folder, lambda: _answers(url), url=url, environ=ENVIRON
        )

    return _with_bucket(started(make, 8))


def start_moto(folder: Path) -> Running:
    """Moto's server, in memory. `BUCKET` is there."""

    def make(ports: list[int]) -> Running:
        folder.mkdir(parents=True, exist_ok=True)
        url = f"http://127.0.0.1:{ports[0]}"
        command = [str(programs.find("moto_server")), "-H", "127.0.0.1", "-p", str(ports[0])]
        return Running(
            "moto_server",
            f"127.0.0.1:{ports[0]}",
            command,
            folder,
            lambda: _answers(url),
            url=url,
            environ=ENVIRON,
            own_environ=ENVIRON,
        )

    return _with_bucket(started(make, 1))


def client(server: Running):  # type: ignore[no-untyped-def]
    """A boto3 client of the server, for what a test arranges."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=server.url,
        aws_access_key_id=ACCESS,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 10}, s3={"addressing_style": "path"}),
    )


def _with_bucket(server: Running) -> Running:
    client(server).create_bucket(Bucket=BUCKET)
    return server
