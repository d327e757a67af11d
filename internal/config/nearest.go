package config

import "strings"

// Nearest returns the name of names that word was most likely meant to be, "" when none is near:
// at most a third of its letters differ, or one begins with the other.
func Nearest(word string, names []string) string {
	best, bestDistance := "", len(word)/3+1
	word = strings.ToLower(word)
	for _, name := range names {
		if d := distance(word, strings.ToLower(name)); d < bestDistance || d == bestDistance && best == "" {
			best, bestDistance = name, d
		}
	}
	if best != "" || len(word) < 3 {
		return best
	}
	for _, name := range names {
		if strings.HasPrefix(name, word) || strings.HasPrefix(word, name) {
			return name
		}
	}
	return ""
}

// distance is how many letters must be added, removed, changed or swapped with their neighbour
// to make b of a (optimal string alignment).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
