package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/queuemgr/queuemgr/job"
)

func newTokenCommand(a *app) *cobra.Command {
	return group("token", "make, list and revoke tokens, with which programs log in", newTokenAddCommand(a), newTokenListCommand(a), newTokenRevokeCommand(a))
}

// access returns what knows of tokens and logins.
func (a *app) access() (job.AccessService, error) {
	svc, err := a.svc()
	if err != nil {
		return nil, err
	}
	access, ok := svc.(job.AccessService)
	if !ok {
		return nil, &job.Error{Code: job.WrongState, Message: "this service knows no tokens and no logins"}
	}
	return access, nil
}

type tokenAddOptions struct {
	name    string
	role    string
	expires string
	quiet   bool
	json    bool
}

func newTokenAddCommand(a *app) *cobra.Command {
	var o tokenAddOptions
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "make a token and print its secret, this once",
		Long: `Makes a token, with which a program reaches the API over TCP: Authorization: Bearer qm_…  Its secret is shown this once and is
on record nowhere. Jobs that are added with it run as queuemgr-job in the system's service, and as you in one of your own. A viewer
sees jobs and their output, an operator also adds, stops and deletes jobs and manages queues, an admin does everything.

` + exitCodesHelp,
		Example: "  queuemgr token add ci --role operator --expires 30d\n  (umask 077; queuemgr token add grafana --role viewer -q >token)",
		Args:    oneArg("name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.name = args[0]
			return runTokenAdd(cmd.Context(), a, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.role, "role", "", "`ROLE`: viewer, operator or admin")
	f.StringVar(&o.expires, "expires", "", "how long it holds, as `30d`; without it for ever")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print the secret alone")
	f.BoolVar(&o.json, "json", false, "print the token as JSON, with its secret")
	completeFlag(cmd, "role", fixed("viewer", "operator", "admin"))
	return cmd
}

func runTokenAdd(ctx context.Context, a *app, o tokenAddOptions) error {
	n := job.NewToken{Name: o.name}
	var err error
	if n.Role, err = loginRole(o.role); err != nil {
		return err
	}
	if n.Role == "" {
		return usage("token add needs a role", "give --role viewer, operator or admin")
	}
	if o.expires != "" {
		d, err := job.ParseDuration(o.expires)
		if err != nil {
			return flagError("expires", err)
		}
		n.ExpiresIn = &d
	}
	access, err := a.access()
	if err != nil {
		return err
	}
	t, err := access.AddToken(ctx, n)
	switch {
	case err != nil:
		return err
	case o.json:
		return a.printJSON(t)
	case o.quiet:
		return a.print("%s\n", t.Secret)
	}
	until := "until it is revoked"
	if !t.ExpiresAt.IsZero() {
		until = "until " + t.ExpiresAt.Local().Format(time.DateTime)
	}
	return a.print("token %s added, %s, %s; its secret is shown this once:\n%s\n", t.Name, t.Role, until, t.Secret)
}

// loginRole reads the flag --role, "" for none.
func loginRole(word string) (job.Role, error) {
	if word == "" {
		return "", nil
	}
	words := make([]string, len(job.LoginRoles))
	for i, r := range job.LoginRoles {
		if words[i] = string(r); words[i] == word {
			return r, nil
		}
	}
	return "", usage(fmt.Sprintf("--role: there is no role %q", word), didYouMean(word, "the roles are", words))
}

func newTokenListCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "list tokens",
		Long:    "Lists the tokens with their roles and when they were used last. Their secrets are on record nowhere.\n\n" + exitCodesHelp,
		Example: "  queuemgr token list",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runTokenList(cmd.Context(), a, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

func runTokenList(ctx context.Context, a *app, asJSON bool) error {
	access, err := a.access()
	if err != nil {
		return err
	}
	tokens, err := access.Tokens(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(tokens)
	}
	if len(tokens) == 0 {
		return a.print("no tokens\n")
	}
	t := &table{columns: []column{{title: "TOKEN"}, {title: "ID"}, {title: "ROLE"}, {title: "MADE"}, {title: "BY"}, {title: "EXPIRES"}, {title: "LAST USED"}}}
	now := a.now()
	for i := range tokens {
		k := &tokens[i]
		expires, used := "", "never"
		switch {
		case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
			expires = "expired"
		case !k.ExpiresAt.IsZero():
			expires = "in " + span(k.ExpiresAt.Sub(now))
		}
		if !k.LastUsedAt.IsZero() {
			used = ago(now, k.LastUsedAt)
		}
		t.add(k.Name, k.ID, string(k.Role), ago(now, k.CreatedAt), printable(k.CreatedBy), expires, used)
	}
	return t.write(a.Stdout, a.width())
}

func newTokenRevokeCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "revoke NAME|ID",
		Short:   "revoke a token",
		Long:    "Revokes a token at once, with the logins that were made with it.\n\n" + exitCodesHelp,
		Example: "  queuemgr token revoke ci",
		Args:    oneArg("token's name or id"),
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			var words []string
			a.forCompletion(cmd, func(ctx context.Context, svc job.Service) error {
				access, ok := svc.(job.AccessService)
				if !ok {
					return nil
				}
				tokens, err := access.Tokens(ctx)
				for i := range tokens {
					words = append(words, fmt.Sprintf("%s\t%s", tokens[i].Name, tokens[i].Role))
				}
				return err
			})
			return words, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runTokenRevoke(cmd.Context(), a, args[0], asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the token that is gone as JSON")
	return cmd
}

func runTokenRevoke(ctx context.Context, a *app, word string, asJSON bool) error {
	access, err := a.access()
	if err != nil {
		return err
	}
	tokens, err := access.Tokens(ctx)
	if err != nil {
		return err
	}
	var found *job.Token
	for i := range tokens {
		if tokens[i].Name != word && tokens[i].ID != word {
			continue
		}
		if found != nil {
			return usage(fmt.Sprintf("%q is the name of one token and the id of another", word), "give the other of the two that the one to revoke has")
		}
		found = &tokens[i]
	}
	if found == nil {
		names := make([]string, len(tokens))
		for i := range tokens {
			names[i] = tokens[i].Name
		}
		return &job.Error{Code: job.NotFound, Message: fmt.Sprintf("there is no token %q", word), Hint: didYouMean(word, "the tokens are", names)}
	}
	if err := access.DeleteToken(ctx, found.ID); err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(found)
	}
	return a.print("token %s revoked\n", found.Name)
}
