package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/queuemgr/queuemgr/job"
)

func TestWebSettings(t *testing.T) {
	for _, test := range []struct {
		settings string
		environ  []string
		want     Web
	}{
		{want: Web{Listen: "127.0.0.1:5000"}},
		{settings: "[web]\nlisten = \"\"\n", want: Web{}},
		{settings: "[web]\nlisten = \"off\"\n", want: Web{}},
		{environ: []string{"QUEUEMGR_WEB_LISTEN="}, want: Web{}},
		{settings: "[web]\nlisten = \"[::1]:0\"\n", want: Web{Listen: "[::1]:0"}},
		{settings: "[web]\nlisten = \"127.9.9.9:1\"\n", want: Web{Listen: "127.9.9.9:1"}},
		{settings: "[web]\nlisten = \"localhost:1\"\n", want: Web{Listen: "localhost:1"}},
		{settings: "[web]\nlisten = \"0.0.0.0:5000\"\ntls = \"auto\"\nhosts = [\"queue.lan\", \"10.0.0.7\"]\n",
			want: Web{Listen: "0.0.0.0:5000", TLS: "auto", Hosts: []string{"queue.lan", "10.0.0.7"}}},
		{settings: "[web]\nlisten = \":5000\"\nbehind_proxy = true\n", want: Web{Listen: ":5000", BehindProxy: true}},
		{settings: "[web]\nlisten = \"[::]:5000\"\ntls_cert = \"/c.pem\"\ntls_key = \"key.pem\"\n",
			want: Web{Listen: "[::]:5000", TLSCert: "/c.pem", TLSKey: "HOME/key.pem"}},
		{environ: []string{"QUEUEMGR_WEB_LISTEN=10.0.0.1:80", "QUEUEMGR_WEB_BEHIND_PROXY=1"}, want: Web{Listen: "10.0.0.1:80", BehindProxy: true}},
	} {
		home, _ := inHome(t, test.settings)
		c, err := Load(Sources{Home: home, Environ: test.environ})
		if err != nil {
			t.Errorf("%s %q: %v", test.settings, test.environ, err)
			continue
		}
		test.want.TLSKey = strings.ReplaceAll(test.want.TLSKey, "HOME", home)
		if d := cmp.Diff(test.want, c.Web); d != "" {
			t.Errorf("%s %q (-want +got):\n%s", test.settings, test.environ, d)
		}
	}
}

// TestUnsafeWebSettings wants every port that others could reach without TLS refused, with its place.
func TestUnsafeWebSettings(t *testing.T) {
	for _, listen := range []string{":5000", "0.0.0.0:5000", "[::]:5000", "10.0.0.1:5000", "[fe80::1]:0", "myhost:5000", "localhost.evil.example:5000", "[::ffff:10.0.0.1]:1", "128.0.0.1:5000"} {
		home, file := inHome(t, "\n[web]\nlisten = \""+listen+"\"\n")
		_, err := Load(Sources{Home: home})
		e := (*job.Error)(nil)
		if !errors.As(err, &e) || e.Code != job.Invalid || e.Field != "web.listen" || !strings.Contains(e.Message, file+":3") || !strings.Contains(e.Message, "no TLS") || !strings.Contains(e.Hint, `tls = "auto"`) {
			t.Errorf("%s: %#v", listen, err)
		}
	}
	for settings, want := range map[string]string{
		"listen = \"5000\"":            "ADDRESS:PORT",
		"listen = \"127.0.0.1:70000\"": "ADDRESS:PORT",
		"listen = \"127.0.0.1\"":       "ADDRESS:PORT",
		"listen = \"a b:1\"":           "ADDRESS:PORT",
		"listen = 5000":                "a text",
		"tls = \"on\"":                 "auto",
		"tls_cert = \"/c.pem\"":        "web.tls_key",
		"tls_key = \"/c.pem\"":         "web.tls_cert",
		"tls = \"auto\"\ntls_cert = \"/c.pem\"\ntls_key = \"/k.pem\"": "leave one of them out",
		"hosts = [\"queue.lan:5000\"]":                                "without a port",
		"hosts = [\"*.lan\"]":                                         "without a port",
		"behind_proxy = \"true\"":                                     "true or false",
		"behind_proxies = true":                                       "behind_proxy",
	} {
		home, file := inHome(t, "[web]\n"+settings+"\n")
		_, err := Load(Sources{Home: home})
		if job.CodeOf(err) != job.Invalid || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
