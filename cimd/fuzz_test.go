package cimd

import (
	"strings"
	"testing"
)

// What passes as an ID has one form, a named public host and a path.
func FuzzParseID(f *testing.F) {
	for _, seed := range []string{"https://app.example/c", "https://app.example:443/c?q", "https://127.0.0.1/c", "https://a.b/%2e%2e/c", "https://u@a.b/c#"} {
		f.Add(seed)
	}
	s := &source{cfg: Config{}.withDefaults(), ownHost: "auth.example"}
	f.Fuzz(func(t *testing.T, id string) {
		u, ok := s.parseID(id)
		if !ok {
			return
		}
		host := u.Hostname()
		if u.Scheme != "https" || u.User != nil || u.Fragment != "" || len(u.Path) < 2 || !strings.HasPrefix(u.Path, "/") ||
			host != strings.ToLower(host) || !strings.Contains(host, ".") || host == s.ownHost || u.Port() != "" && u.Port() != "443" && strings.TrimLeft(u.Port(), "0") != "443" {
			t.Fatalf("%q", id)
		}
		if !strings.HasPrefix(id, "https://"+u.Host+"/") {
			t.Fatalf("%q has another form: %q", id, u.Host)
		}
	})
}
