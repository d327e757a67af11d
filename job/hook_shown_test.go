package job

import "testing"

// TestShownURL leaves out of a hook's URL what may be a secret, also in its path.
func TestShownURL(t *testing.T) {
	for url, want := range map[string]string{
		"https://hooks.example.org/services/T0/B0/secret": "https://hooks.example.org/…",
		"https://x.example.org:8443?key=secret":           "https://x.example.org:8443/…",
		"https://x.example.org#secret":                    "https://x.example.org/…",
		"https://x.example.org":                           "https://x.example.org",
		"http://127.0.0.1:80/":                            "http://127.0.0.1:80/",
		"https://x.example.org/…":                         "https://x.example.org/…",
		"":                                                "",
	} {
		if got := ShownURL(url); got != want {
			t.Errorf("%q is shown as %q, want %q", url, got, want)
		}
	}
}
