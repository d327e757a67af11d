"""Jobs of the queuemgr service in Python.

queuemgr.jobs.base  QueueJobBase, the base of job classes
queuemgr.run        runs one: python3 -m queuemgr.run FILE.py[:CLASS]
queuemgr.client     adds jobs and watches them
"""
