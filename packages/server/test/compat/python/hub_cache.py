"""Fetches from a hub, or reads a cache, as Python's libraries do: hub_cache.py <task> <arguments of the task>"""

import json
import os
import sys

from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download


def fetch_file(repository, path):
    return os.path.realpath(hf_hub_download(repository, path))


def fetch_repository(repository):
    return snapshot_download(repository)


def find_file(repository, path):
    return os.path.realpath(hf_hub_download(repository, path, local_files_only=True))


def find_repository(repository):
    return snapshot_download(repository, local_files_only=True)


def scan():
    report = scan_cache_dir()
    return {
        "warnings": [str(warning) for warning in report.warnings],
        "size": report.size_on_disk,
        "repositories": {
            repo.repo_id: sorted(file.file_name for revision in repo.revisions for file in revision.files)
            for repo in report.repos
        },
        "refs": sorted(ref for repo in report.repos for revision in repo.revisions for ref in revision.refs),
    }


print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
