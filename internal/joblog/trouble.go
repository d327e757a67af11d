package joblog

import "bytes"

// troubles are the words that make a line look like an error, in lower case, each with the endings
// that it may have.
var troubles = []struct {
	stem    []byte
	endings []string
}{
	{[]byte("error"), []string{"", "s"}},
	{[]byte("fatal"), []string{""}},
	{[]byte("panic"), []string{""}},
	{[]byte("exception"), []string{""}},
	{[]byte("traceback"), []string{""}},
	{[]byte("fail"), []string{"", "ed", "ure", "ures"}},
	{[]byte("segmentation fault"), []string{""}},
	{[]byte("killed"), []string{""}},
}

// longestTrouble is the most bytes that one of them takes.
const longestTrouble = len("segmentation fault")

// troubleAt returns how long the word is that begins at b[i:] with a stem, 0 for none. The bytes before
// and behind it decide: "terror" and "failover" are no errors. What b does not hold is no letter.
func troubleAt(b []byte, i int, stem []byte, endings []string) int {
	if i > 0 && wordByte(b[i-1]) {
		return 0
	}
	end := i + len(stem)
	to := end
	for to < len(b) && wordByte(b[to]) {
		if to++; to-end > len("ures") {
			return 0
		}
	}
	for _, e := range endings {
		if string(b[end:to]) == e {
			return to - i
		}
	}
	return 0
}

func wordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}

// firstTrouble returns where in b, which is in lower case, the first such word begins, from an index
// on, and how long it is; -1 for none.
func firstTrouble(b []byte, from int) (at, n int) {
	at = -1
	for _, t := range troubles {
		for i := from; ; i++ {
			to := len(b)
			if at >= 0 {
				to = min(to, at+len(t.stem))
			}
			if i >= to {
				break
			}
			next := bytes.Index(b[i:to], t.stem)
			if next < 0 {
				break
			}
			if i += next; at >= 0 && i >= at {
				break
			}
			if m := troubleAt(b, i, t.stem, t.endings); m > 0 {
				at, n = i, m
				break
			}
		}
	}
	return at, n
}

// lastTrouble returns where in b the last such word begins that ends at to or before it.
func lastTrouble(b []byte, to int) (at, n int) {
	at = -1
	for _, t := range troubles {
		for end := to; ; {
			i := bytes.LastIndex(b[:end], t.stem)
			if i < 0 || i <= at {
				break
			}
			if m := troubleAt(b, i, t.stem, t.endings); m > 0 && i+m <= to {
				at, n = i, m
				break
			}
			end = i + len(t.stem) - 1
		}
	}
	return at, n
}

// troubleForward looks in one block from at on, as forward does.
func (s *search) troubleForward(at int64) (int64, error) {
	lo := max(0, at-1) // the byte before decides too
	b, err := s.read(lo, min(lo+blockSize, s.size))
	if err != nil || int64(len(b)) <= at-lo {
		return -1, err
	}
	lower(b)
	hi := lo + int64(len(b))
	last := hi >= s.size || len(b) < blockSize // the log may have been truncated meanwhile
	i, n := firstTrouble(b, int(at-lo))
	// A word at the very end may go on in the next block.
	if i >= 0 && (i+n < len(b) || last) {
		match := lo + int64(i)
		if err := s.hit(match, n); err != nil {
			return -1, err
		}
		return s.lineEnd(match + int64(n))
	}
	if last {
		return -1, nil
	}
	return hi - int64(longestTrouble), nil
}

// troubleBackward looks in one block that ends at at, as backward does.
func (s *search) troubleBackward(at int64) (int64, error) {
	from := max(0, at-blockSize+1)
	b, err := s.read(from, min(at+1, s.size))
	if err != nil || len(b) == 0 {
		return -1, err
	}
	lower(b)
	i, n := lastTrouble(b, min(len(b), int(at-from)))
	if i > 0 || i == 0 && from == 0 {
		match := from + int64(i)
		if err := s.hit(match, n); err != nil {
			return -1, err
		}
		return s.lineStart(match)
	}
	if from == 0 {
		return -1, nil
	}
	return from + int64(longestTrouble) + 1, nil
}
