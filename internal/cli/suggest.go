package cli

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// suggest returns a text for people with the commands in it made to reach the same service as this
// one: where --home names it, the word queuemgr of each is followed by it. Prose is left alone,
// what is quoted for a shell as well, and commands that are for the system's service.
func (a *app) suggest(text string) string { return a.suggestAt(a.home, text) }

// suggestFormat is suggest for a format: its arguments, which may be a user's words, are left alone.
func (a *app) suggestFormat(format string) string {
	return a.suggestAt(strings.ReplaceAll(a.home, "%", "%%"), format)
}

func (a *app) suggestAt(home, text string) string {
	if home == "" || !strings.Contains(text, "queuemgr ") {
		return text
	}
	if a.suggested == nil {
		a.suggested = suggested()
	}
	return a.suggested.ReplaceAllStringFunc(text, func(found string) string {
		before, words, _ := strings.Cut(found, "queuemgr ")
		if strings.Contains(before, "'") || strings.HasSuffix(before, "sudo ") {
			return found
		}
		return before + "queuemgr --home " + printable(shellQuote(home)) + " " + words
	})
}

// suggested finds what suggest changes, and what it must step over: quoted words and sudo.
func suggested() *regexp.Regexp {
	var names []string
	for _, cmd := range newRootCommand(newApp(Env{})).Commands() {
		name := cmd.Name()
		if cmd.HasSubCommands() {
			name += " (?:" + strings.Join(subcommands(cmd), "|") + ")"
		}
		names = append(names, name)
	}
	return regexp.MustCompile(`(?:^|[\s(])(?:'[^']*'|(?:sudo )?queuemgr (?:` + strings.Join(names, "|") + `)\b)`)
}

// subcommands are the commands of a group as suggest finds them.
func subcommands(group *cobra.Command) []string {
	var names []string
	for _, cmd := range group.Commands() {
		switch name := cmd.Name(); {
		case group.Name() == "service" && name == "install":
			names = append(names, "install --user") // without it, it is for everybody and takes no --home
		case group.Name() == "service" && name == "uninstall":
		default:
			names = append(names, name)
		}
	}
	return names
}
