package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// units of sizes: the binary ones first, in the order in which FormatSize tries them.
var units = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3},
	{"T", 1 << 40}, {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"B", 1},
}

// ParseSize takes a number of bytes with or without a unit: "1048576", "64MiB", "1.5 GB", "512K".
// K, M, G and T alone are powers of 1024, as in other Linux tools.
func ParseSize(s string) (int64, error) {
	number, factor := strings.TrimSpace(s), int64(1)
	for _, u := range units {
		if cut := len(number) - len(u.name); cut > 0 && strings.EqualFold(number[cut:], u.name) {
			number, factor = strings.TrimSpace(number[:cut]), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n >= 0) || n*float64(factor) >= math.MaxInt64 {
		return 0, fmt.Errorf("bad size %q", s)
	}
	return int64(n * float64(factor)), nil
}

// FormatSize writes n bytes in the largest binary unit that is exact.
func FormatSize(n int64) string {
	for _, u := range units[:4] {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
