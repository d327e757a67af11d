package tcp

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Holder says which process listens on an address that is taken, "" where that can't be told: other
// users' processes are root's to see.
func Holder(listen string) string {
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return ""
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return ""
	}
	ip, _ := netip.ParseAddr(host) // a name: any address will do
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		for _, inode := range listeners(table, ip, uint16(port)) {
			if who := ownerOf(inode); who != "" {
				return who
			}
		}
	}
	return ""
}

// listeners returns the sockets that listen on a port, at ip or at all addresses.
func listeners(table string, ip netip.Addr, port uint16) (inodes []string) {
	f, err := os.Open(table)
	if err != nil {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		const listening = "0A"
		if len(fields) < 10 || fields[3] != listening {
			continue
		}
		at, ok := parseLocal(fields[1])
		if ok && at.Port() == port && (at.Addr().IsUnspecified() || !ip.IsValid() || ip.IsUnspecified() || at.Addr().Unmap() == ip.Unmap()) {
			inodes = append(inodes, fields[9])
		}
	}
	return inodes
}

// parseLocal reads an address of /proc/net/tcp: words of 32 bits in the machine's order, on the
// little-endian machines that there are, and the port.
func parseLocal(text string) (netip.AddrPort, bool) {
	host, rest, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(host)
	port, portErr := strconv.ParseUint(rest, 16, 16)
	if err != nil || portErr != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(b, 4) {
		slices.Reverse(word)
	}
	ip, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(ip, uint16(port)), ok
}

// ownerOf says which process has a socket open.
func ownerOf(inode string) string {
	want := "socket:[" + inode + "]"
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return ""
	}
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err != nil || link != want {
			continue
		}
		pid := strings.Split(fd, "/")[2]
		name, err := os.ReadFile(filepath.Join("/proc", pid, "comm"))
		if err != nil {
			return "process " + pid
		}
		return fmt.Sprintf("process %s (%s)", pid, strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return -1 // a process may call itself anything
			}
			return r
		}, string(name)))
	}
	return ""
}
