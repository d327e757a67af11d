"""The base of job classes is in queuemgr.jobs.base."""
