package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/queuemgr/queuemgr/job"
)

// needJob makes sure that s selects something: it asks a person for the job, showing those in the
// states given, and is wrong usage where nobody can be asked.
func (a *app) needJob(ctx context.Context, s *selection, verb string, states ...job.State) error {
	if !s.none() {
		return nil
	}
	deed, choices := verb, "a number, last or all"
	switch verb {
	case "logs":
		deed, choices = "print the logs of", "a number or last"
	case "status":
		deed = "show"
	case "wait":
		deed = "wait for"
	}
	if !a.interactive() {
		return usage(fmt.Sprintf("job %s needs a job", verb), fmt.Sprintf("give %s: queuemgr job %s 7", choices, verb))
	}
	svc, err := a.svc()
	if err != nil {
		return err
	}
	page, err := svc.ListJobs(ctx, job.Filter{States: states, Limit: 15})
	if err != nil {
		return err
	}
	if len(page.Jobs) == 0 {
		return &job.Error{Code: job.NotFound, Message: fmt.Sprintf("there is no job to %s", deed), Hint: "queuemgr job list shows what there is"}
	}
	slices.Reverse(page.Jobs) // the newest nearest to the question
	if err := a.jobTable(page.Jobs).write(a.Stderr, a.width()); err != nil {
		return err
	}
	answer, err := a.ask(ctx, fmt.Sprintf("Which job to %s (%s)? ", deed, choices))
	if err != nil {
		return err
	}
	if answer == "" {
		return usage("no job was given", "")
	}
	s.words = strings.Fields(answer)
	return nil
}

// confirm asks a person a question that is answered yes or no. The default is no.
func (a *app) confirm(ctx context.Context, question string) (bool, error) {
	answer, err := a.ask(ctx, question+" [y/N] ")
	if err != nil {
		return false, err
	}
	answer = strings.ToLower(answer)
	return answer == "y" || answer == "yes", nil
}

// ask writes a question to standard error and returns the line that is typed.
func (a *app) ask(ctx context.Context, question string) (string, error) {
	if _, err := io.WriteString(a.Stderr, question); err != nil {
		return "", err
	}
	type answer struct {
		line string
		err  error
	}
	// A read of a terminal cannot be called off; the goroutine ends with the process, which is
	// what the end of ctx leads to.
	got := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(a.Stdin).ReadString('\n')
		got <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case g := <-got:
		if g.err != nil && !errors.Is(g.err, io.EOF) {
			return "", fmt.Errorf("reading the answer: %w", g.err)
		}
		return strings.TrimSpace(g.line), nil
	}
}
