package cli

import (
	"context"
	"errors"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/job"
)

type webOptions struct {
	open bool
	role string
	end  bool
	json bool
}

func newWebCommand(a *app) *cobra.Command {
	var o webOptions
	cmd := &cobra.Command{
		Use:   "web",
		Short: "print a link that logs a browser in to the page",
		Long: `Prints a link to the page that logs a browser in, once and within five minutes. The page is for root, for who runs the service, and
for whom the setting [access] operators names. With --end-logins root, or who runs the service, ends all logins at once, and the links that
were not used; tokens stay (queuemgr token revoke).

` + exitCodesHelp,
		Example: "  queuemgr web --open\n  queuemgr web --role viewer\n  queuemgr web --end-logins",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runWeb(cmd.Context(), a, o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.open, "open", false, "open it in the browser, too")
	f.StringVar(&o.role, "role", "", "`ROLE` of the login: viewer, operator or admin; without it yours")
	f.BoolVar(&o.end, "end-logins", false, "end all logins and links instead")
	f.BoolVar(&o.json, "json", false, "print the link as JSON, or how many logins and links were ended")
	completeFlag(cmd, "role", fixed("viewer", "operator", "admin"))
	return cmd
}

func runWeb(ctx context.Context, a *app, o webOptions) error {
	role, err := loginRole(o.role)
	if err != nil {
		return err
	}
	if o.end && (o.open || role != "") {
		return usage("--end-logins makes no link: --open and --role do not go with it", "leave them out")
	}
	access, err := a.access()
	if err != nil {
		return err
	}
	if o.end {
		return a.endLogins(ctx, access, o.json)
	}
	link, err := access.AddLogin(ctx, role)
	if err != nil {
		return err
	}
	if o.json {
		err = a.printJSON(link)
	} else {
		err = a.print("%s\n", link.URL)
		if link.Fingerprint != "" {
			a.warn("the service has made its certificate itself: the browser warns of it. Its SHA-256 fingerprint must be\n%s", link.Fingerprint)
		}
	}
	if err != nil || !o.open {
		return err
	}
	if err := a.openBrowser(link); err != nil {
		a.warn("no browser could be opened: %v. Open the link by hand", err)
	}
	return nil
}

func (a *app) endLogins(ctx context.Context, access job.AccessService, asJSON bool) error {
	ended, err := access.EndLogins(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(ended)
	}
	return a.print("%s and %s ended\n", plural(int64(ended.Logins), "login"), plural(int64(ended.Links), "link"))
}

// openBrowser opens a link. A command line is for every user of the machine to see, and the link
// would log in who is first: so the browser is given a file that only this user can read, which leads
// there.
func (a *app) openBrowser(link *job.Login) error {
	program, err := exec.LookPath("xdg-open")
	if err != nil {
		return errors.New("there is no xdg-open")
	}
	file, err := a.writeLink(link.URL)
	if err != nil {
		return err
	}
	cmd := exec.Command(program, file) //nolint:noctx // the browser goes on when this command has ended
	cmd.Env = a.Environ
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

func (a *app) writeLink(link string) (string, error) {
	dir := a.env("XDG_RUNTIME_DIR")
	if !filepath.IsAbs(dir) {
		if dir = a.env("XDG_CACHE_HOME"); !filepath.IsAbs(dir) {
			dir = filepath.Join(a.env("HOME"), ".cache")
		}
		if !filepath.IsAbs(dir) {
			return "", errors.New("HOME is not set")
		}
		dir = filepath.Join(dir, "queuemgr")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", err
		}
	}
	f, err := os.CreateTemp(dir, "queuemgr-login-*") // mode 0600
	if err != nil {
		return "", err
	}
	to := html.EscapeString(link)
	_, err = fmt.Fprintf(f, "<!doctype html><meta charset=utf-8><meta name=referrer content=no-referrer><meta http-equiv=refresh content=\"0;url=%s\"><title>queuemgr</title><a href=\"%s\">queuemgr</a>\n", to, to)
	path := filepath.Join(dir, "queuemgr-login.html")
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path) // of the last one: its link has been used or is too old
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return path, nil
}
