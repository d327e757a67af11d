/*
 * Lets a user-mode Linux older than 6.10 run on processors whose extended state is larger than the
 * 2,696 bytes it knows (AMX adds 8 KiB). It saves such a state truncated, which is harmless, but the
 * host refuses to restore a truncated one (EFAULT) and the guest panics with "ptrace set fp regs
 * failed, errno = 14". Loaded by LD_PRELOAD, this puts itself between: a truncated state is widened
 * by components in their initial state before it is restored. Nothing the guest knows of is lost.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Static: the guest's kernel stack is too small for it, and only one thread of it traces. */
static unsigned char wide[64 * 1024];
static size_t full; /* bytes the host wants; 0 until it has refused once */

enum { HEADER = 512, COMPONENT_TILES = 17 };

static long restore(pid_t pid, const struct iovec *narrow)
{
	struct iovec iov = { wide, sizeof wide };
	uint64_t present;

	if (full == 0) {
		if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, NT_X86_XSTATE, &iov) < 0)
			return -1;
		full = iov.iov_len;
	}
	if (narrow->iov_len >= full) {
		errno = EFAULT;
		return -1;
	}
	memcpy(wide, narrow->iov_base, narrow->iov_len);
	memset(wide + narrow->iov_len, 0, full - narrow->iov_len);
	/* The header's first word says which components follow; absent ones are initial. */
	memcpy(&present, wide + HEADER, sizeof present);
	present &= (UINT64_C(1) << COMPONENT_TILES) - 1;
	memcpy(wide + HEADER, &present, sizeof present);
	iov.iov_len = full;
	return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, &iov);
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list args;
	pid_t pid;
	void *addr, *data;
	long got, word;

	va_start(args, request);
	pid = va_arg(args, pid_t);
	addr = va_arg(args, void *);
	data = va_arg(args, void *);
	va_end(args);

	if (request == PTRACE_SETREGSET && addr == (void *)NT_X86_XSTATE) {
		if (full == 0) {
			got = syscall(SYS_ptrace, request, pid, addr, data);
			if (got >= 0 || errno != EFAULT)
				return got;
		}
		return restore(pid, data);
	}
	if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER) {
		/* The system call stores the word; the library's function returns it. */
		got = syscall(SYS_ptrace, request, pid, addr, &word);
		if (got < 0)
			return -1;
		errno = 0;
		return word;
	}
	return syscall(SYS_ptrace, request, pid, addr, data);
}
