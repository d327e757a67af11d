package runas

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mkfifo(path string) error { return syscall.Mkfifo(path, 0o644) }

const fullPolicy = `# who jobs run as
accounts = ["root", 'backup', # both
  "CORP\\anna",
]	# end
may_choose=[]
default_account = "queuemgr-job"`

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		text string
		want string
	}{
		{"", "[] [] queuemgr-job"},
		{"\n\n# nothing\n", "[] [] queuemgr-job"},
		{fullPolicy, `[root backup CORP\anna] [] queuemgr-job`},
		{strings.ReplaceAll(fullPolicy, "\n", "\r\n"), `[root backup CORP\anna] [] queuemgr-job`},
		{`may_choose = ["a","b"]`, "[] [a b] queuemgr-job"},
		{`default_account = 'x'`, "[] [] x"},
		{"accounts = [\n# none\n]", "[] [] queuemgr-job"},

		{"account = []", "f:1: unknown key account: did you mean accounts?"},
		{"\ndefault_acount = ''", "f:2: unknown key default_acount: did you mean default_account?"},
		{"umask = 1", "f:1: unknown key umask: there are accounts, may_choose, default_account"},
		{"accounts = []\n\naccounts = []", "f:3: accounts is set in line 1 already"},
		{"accounts = 'root'", `f:1: accounts is a list of account names, as in accounts = ["backup"], and cannot begin with '\''`},
		{"accounts =", `f:1: accounts is a list of account names, as in accounts = ["backup"], and cannot begin with the end of the file`},
		{"default_account = ['x']", `f:1: default_account is one account name, as in default_account = "queuemgr-job"`},
		{"default_account = x", "f:1: default_account: an account name stands in quotes; 'x' does not begin one"},
		{"default_account = ''", "f:1: default_account: an account name is empty"},
		{"accounts = ['0']", `f:1: accounts: "0" is a number: give the account's name`},
		{"accounts = ['-x']", `f:1: accounts: "-x" cannot be an account name`},
		{"accounts = ['a:b']", `f:1: accounts: "a:b" cannot be an account name`},
		{"accounts = [' a']", `f:1: accounts: " a" cannot be an account name`},
		{"accounts = ['a\xff']", `f:1: accounts: "a\xff" cannot be an account name`},
		{"accounts = ['" + strings.Repeat("a", 257) + "']", "f:1: accounts: an account name is longer than 256 bytes"},
		{"accounts = [\n'root'\n'x']", "f:3: accounts: after an account name comes , or ], not '\\''"},
		{"accounts = ['root'", "f:1: accounts: after an account name comes , or ], not the end of the file"},
		{"accounts = [,]", "f:1: accounts: an account name stands in quotes; ',' does not begin one"},
		{"accounts = ['root", "f:1: accounts: a quote is not closed on its line"},
		{`accounts = ["a\n"]`, `f:1: accounts: in double quotes \ is written \\`},
		{"accounts = [] x", "f:1: accounts: the line should end here, not go on with 'x'"},
		{`default_account = """x"""`, "f:1: default_account: an account name is empty"},
		{"[jobs]", "f:1: a line is KEY = VALUE; it cannot begin with '['"},
		{`"accounts" = []`, "f:1: a line is KEY = VALUE; it cannot begin with '\"'"},
		{"accounts.x = []", "f:1: after accounts comes =, not '.'"},
		{"accounts\n= []", "f:1: after accounts comes =, not the end of the line"},
		{"# bell \a", "f:1: a line is KEY = VALUE; it cannot begin with '#'"},
		{"\ufeffaccounts = []", "f:1: a line is KEY = VALUE; it cannot begin with '\\ufeff'"},
	} {
		p, err := Parse("f", []byte(tt.text))
		got := fmt.Sprintf("%v %v %s", p.Accounts, p.MayChoose, p.DefaultAccount)
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q:\ngot  %s\nwant %s", tt.text, got, tt.want)
		}
	}
}

// sameAsTOML fails when a text that Parse accepts means something else to a complete TOML parser.
func sameAsTOML(t *testing.T, text []byte) (accepted bool) {
	t.Helper()
	p, err := Parse("f", text)
	if err != nil {
		var line int
		if n, serr := fmt.Sscanf(err.Error(), "f:%d:", &line); n != 1 || serr != nil || line < 1 || line > 1+strings.Count(string(text), "\n") {
			t.Errorf("%q: no line in %q", text, err)
		}
		return false
	}
	var full struct {
		Accounts       []string `toml:"accounts"`
		MayChoose      []string `toml:"may_choose"`
		DefaultAccount *string  `toml:"default_account"`
	}
	d := toml.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&full); err != nil {
		var strict *toml.StrictMissingError
		t.Errorf("%q is accepted, but %v %v", text, err, errors.As(err, &strict))
		return true
	}
	if full.DefaultAccount == nil {
		full.DefaultAccount = ptr(DefaultPolicy().DefaultAccount)
	}
	if !slices.Equal(p.Accounts, full.Accounts) || !slices.Equal(p.MayChoose, full.MayChoose) || p.DefaultAccount != *full.DefaultAccount {
		t.Errorf("%q: %+v, but as TOML %+v", text, p, full)
	}
	return true
}

// TestParseMutations breaks policies in many ways, with the same dice each time.
func TestParseMutations(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	const letters = "\"'\\[]=,#\n\r\t aAz09_-:/\x00\x7f\xc3\xa4\xff"
	accepted := 0
	for range 200_000 {
		text := []byte(fullPolicy)
		for range 1 + dice.IntN(4) {
			at := dice.IntN(len(text))
			letter := letters[dice.IntN(len(letters))]
			switch dice.IntN(4) {
			case 0:
				text[at] = letter
			case 1:
				text = slices.Insert(text, at, letter)
			case 2:
				text = slices.Delete(text, at, min(len(text), at+1+dice.IntN(8)))
			default: // a piece twice
				end := min(len(text), at+1+dice.IntN(24))
				text = slices.Insert(text, at, slices.Clone(text[at:end])...)
			}
			if len(text) == 0 {
				break
			}
		}
		if sameAsTOML(t, text) {
			accepted++
		}
		if t.Failed() {
			return
		}
	}
	if accepted < 1000 {
		t.Errorf("only %d mutations were policies: nothing was compared", accepted)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(fullPolicy))
	f.Add([]byte("accounts = ['a'] # x\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) { sameAsTOML(t, text) })
}

func ptr(s string) *string { return &s }
