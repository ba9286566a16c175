package resource

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const wellKnown = "/.well-known/oauth-protected-resource"

// metadataAge is how long others may keep the metadata.
const metadataAge = "public, max-age=300"

// document is the protected resource metadata (RFC 9728 §2).
type document struct {
	Resource      string   `json:"resource"`
	Issuers       []string `json:"authorization_servers"`
	Scopes        []string `json:"scopes_supported,omitempty"`
	Methods       []string `json:"bearer_methods_supported"`
	Name          string   `json:"resource_name,omitempty"`
	Documentation string   `json:"resource_documentation,omitempty"`
	Policy        string   `json:"resource_policy_uri,omitempty"`
	TermsOfUse    string   `json:"resource_tos_uri,omitempty"`
}

func (s *Server) document() ([]byte, error) {
	return json.Marshal(document{
		Resource: s.cfg.Resource, Issuers: s.cfg.Issuers, Scopes: s.cfg.Scopes, Methods: []string{"header"},
		Name: s.cfg.Name, Documentation: s.cfg.Documentation, Policy: s.cfg.Policy, TermsOfUse: s.cfg.TermsOfUse,
	})
}

// prepareMetadata writes the document once. RFC 9728 §3.1: the well-known path
// goes between host and path, and a path that is only a slash is dropped.
func (s *Server) prepareMetadata(u *url.URL) error {
	inserted := strings.TrimSuffix(u.EscapedPath(), "/")
	if inserted != "" {
		inserted = u.EscapedPath() // only the slash right behind the host is dropped
	}
	s.paths = []string{wellKnown + inserted}
	if inserted != "" {
		s.paths = append(s.paths, wellKnown)
	}
	s.location = u.Scheme + "://" + u.Host + s.paths[0]
	if u.RawQuery != "" {
		s.location += "?" + u.RawQuery
	}
	var err error
	s.metadata, err = s.document()
	sum := sha256.Sum256(s.metadata)
	s.etag = `"` + hex.EncodeToString(sum[:16]) + `"`
	return err
}

// MetadataRoute is where RFC 9728 §3.1 wants the metadata, as a pattern for
// http.ServeMux on the root of the host, and the handler that serves it:
// mux.Handle(s.MetadataRoute()). The challenges name this place.
func (s *Server) MetadataRoute() (pattern string, h http.Handler) {
	return muxPattern(s.paths[0]), http.HandlerFunc(s.serveMetadata)
}

// MetadataRoutes is MetadataRoute and, if the resource has a path, the place
// without it: for clients that look only there. A host with several resources
// can give the second to one of them.
func (s *Server) MetadataRoutes() iter.Seq2[string, http.Handler] {
	return func(yield func(string, http.Handler) bool) {
		for _, p := range s.paths {
			if !yield(muxPattern(p), http.HandlerFunc(s.serveMetadata)) {
				return
			}
		}
	}
}

// muxPattern keeps a path with a slash at its end from matching all below it.
func muxPattern(path string) string {
	if strings.HasSuffix(path, "/") {
		return path + "{$}"
	}
	return path
}

func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		preflight(h)
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		h.Set("Allow", "GET, HEAD, OPTIONS")
		writeError(w, http.StatusMethodNotAllowed, "invalid_request", "the metadata is read with GET")
		return
	}
	h.Set("Content-Type", "application/json") // exactly: some clients compare it
	h.Set("Cache-Control", metadataAge)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("ETag", s.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.metadata)) // HEAD, If-None-Match
}
