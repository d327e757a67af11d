package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// scenePage starts the daemon with its web page and logs in with a link, as a browser does.
func scenePage(ctx context.Context, s *story) error {
	if _, err := s.must(ctx, "daemon", "stop"); err != nil {
		return err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	s.service.Env = append(s.service.Env, "QUEUEMGR_WEB_LISTEN="+address)
	s.say("$ export QUEUEMGR_WEB_LISTEN=%s", address)
	if _, err := s.must(ctx, "daemon", "start", "--daemon"); err != nil {
		return err
	}
	// Something to look at.
	for _, args := range [][]string{
		{"queue", "add", "render", "--concurrency", "1"},
		{"job", "add", "--queue", "render", "--name", "intro", "--", "sh", "-c", `i=0; while i=$((i+1)); do printf '\033[32mframe\033[0m %d\n' $i; sleep 1; done`},
		{"job", "add", "--queue", "render", "--name", "credits", "--", "sleep", "600"},
		{"job", "add", "--hold", "--name", "upload", "--", "sleep", "60"},
	} {
		if _, err := s.must(ctx, args...); err != nil {
			return err
		}
	}
	link, err := s.must(ctx, "web")
	if err != nil {
		return err
	}
	first, err := redeem(ctx, link)
	if err != nil {
		return err
	}
	second, err := redeem(ctx, link)
	if err != nil {
		return err
	}
	s.claim(first == http.StatusOK && second == http.StatusUnauthorized, "a login link logs in once",
		"%s: the first use is answered %d, the second %d", address, first, second)
	return nil
}

// freeAddress returns the page's usual address, or one with a free port where that is taken.
func freeAddress(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:5000")
	if err != nil {
		l, err = lc.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return "", fmt.Errorf("find a port for the page: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// redeem logs in with a link and returns the answer's status.
func redeem(ctx context.Context, link string) (int, error) {
	u, err := url.Parse(strings.TrimSpace(link))
	if err != nil {
		return 0, err
	}
	body, err := json.Marshal(map[string]string{"code": strings.TrimPrefix(u.Fragment, "login=")})
	if err != nil {
		return 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+u.Host+"/api/login", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

// leave notes where the demo's folder is, for `make demo-stop`, and says how to look at it.
func (s *story) leave(ctx context.Context, note string) error {
	link, err := s.service.Must(ctx, "web")
	if err != nil {
		return err
	}
	if err := os.WriteFile(note, []byte(s.dir+"\n"), 0o600); err != nil {
		return fmt.Errorf("note where the demo is: %w", err)
	}
	fmt.Printf("\nThe daemon lives on in %s\n\n   the page    %s\n   (logs in once, within five minutes; a new link: QUEUEMGR_HOME=%s %s web)\n   end it      make demo-stop\n",
		s.dir, strings.TrimSpace(link), s.service.Home, filepath.Join(s.service.Bin, "queuemgr"))
	return nil
}

// stopLeft ends the daemon that a demo left alive, with its jobs, and removes its folder. Where there
// is none, it says so where that was asked for.
func stopLeft(ctx context.Context, bin, note string, asked bool) error {
	text, err := os.ReadFile(note)
	if errors.Is(err, os.ErrNotExist) {
		if asked {
			fmt.Println("no demo was left alive")
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the demo that was left alive: %w", err)
	}
	dir := strings.TrimSpace(string(text))
	old := newService(bin, dir)
	if _, err := os.Stat(old.Home); err == nil {
		if err := old.Cleanup(ctx); err != nil {
			return fmt.Errorf("end the demo in %s: %w", dir, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	fmt.Printf("the demo in %s is ended\n", dir)
	return os.Remove(note)
}
