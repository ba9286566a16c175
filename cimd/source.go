package cimd

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/internal/fetch"
	"github.com/seed-e797c9ce/oauth/store"
)

const (
	maxDocument = 64 << 10
	maxID       = 2048
	failedFor   = time.Minute // how long a failure is believed
	failureStep = time.Second // failures take a multiple of it, whatever the reason
)

// Requests go out in two shares: what is for the documents of clients that
// somebody has granted something, and what is for anybody. A limit for a domain
// and all its hosts is not among them: a host that is made up needs no domain,
// and which domains belong to many people only a list could say.
const (
	perMinute         = 50 // of each share
	perHost           = 5
	strangersInFlight = 24
	grantedInFlight   = 8
)

// share is a part of the requests that may be made.
type share struct {
	budget *fetch.Budget
	slots  chan struct{} // requests under way
}

func newShare(inFlight int) share {
	return share{fetch.NewBudget(perMinute, perHost), make(chan struct{}, inFlight)}
}

// take makes room for a request to a host, until release, or says that there is
// none.
func (s share) take(host string) (release func(), ok bool) {
	select {
	case s.slots <- struct{}{}:
		release = func() { <-s.slots }
	default:
		return nil, false
	}
	if !s.budget.Spend(host, time.Now()) {
		release()
		return nil, false
	}
	return release, true
}

// source is where clients with documents come from.
type source struct {
	cfg     Config
	reg     *oauth.Registry
	ownHost string
	pinned  map[string]func() *oauth.Client
	cache   *cache

	strangers, granted share

	mu    sync.Mutex
	calls map[string]chan struct{} // closed when the fetch of the ID has ended
}

// parseID reports whether an ID is the URL of a document (§3 of the draft).
// Compared is the string, so the URL must be in one form only.
func (s *source) parseID(id string) (*url.URL, bool) {
	after, ok := strings.CutPrefix(id, "https://")
	if !ok || len(id) > maxID {
		return nil, false
	}
	for i := 0; i < len(id); i++ {
		if c := id[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\\\"<>^`{|}#", c) >= 0 {
			return nil, false
		}
	}
	u, err := url.Parse(id)
	if host, _, _ := strings.Cut(after, "/"); err != nil || u.User != nil || u.Host != host || len(u.Path) < 2 { // host: without escapes
		return nil, false
	}
	for segment := range strings.SplitSeq(u.Path, "/") { // decoded: %2e%2e is .. , too
		if segment == "." || segment == ".." {
			return nil, false
		}
	}
	port := uint64(443)
	if p := u.Port(); p != "" || strings.HasSuffix(u.Host, ":") {
		if port, err = strconv.ParseUint(p, 10, 16); err != nil {
			return nil, false
		}
	}
	return u, slices.Contains(s.cfg.Ports, uint16(port)) && s.publicName(u.Hostname())
}

// publicName refuses what is no name of the public web before anything is looked
// up: addresses in numbers, this machine, this provider.
func (s *source) publicName(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil || host != strings.ToLower(host) || host == s.ownHost {
		return false
	}
	labels := strings.Split(host, ".")
	last := labels[len(labels)-1]
	if len(labels) < 2 || last == "localhost" || slices.Contains(labels, "") {
		return false
	}
	return last[0] < '0' || last[0] > '9'
}

// onRequest gets the document of the client that a browser is sent with, if it
// is not there or not fresh. What it finds, and what it does not, is then in the
// cache for client.
func (s *source) onRequest(ctx context.Context, params url.Values) (url.Values, error) {
	if ids := params["client_id"]; len(ids) == 1 && !s.upToDate(ids[0]) {
		if u, ok := s.parseID(ids[0]); ok {
			return params, s.refresh(ctx, ids[0], u)
		}
	}
	return params, nil
}

// client is the oauth.Registry's client source. It never asks for a document
// that is at hand, so that one request of a client sees one document, and an ID
// that is not known costs nobody else a request.
func (s *source) client(ctx context.Context, id string) (*oauth.Client, error) {
	if s.cfg.Allow == nil { // what is at hand was found to be an ID before
		if c := s.cached(id); c != nil {
			return c, nil
		}
	}
	u, ok := s.parseID(id)
	if !ok {
		if strings.HasPrefix(id, "https://") {
			return nil, errURL
		}
		return nil, store.ErrNotFound
	}
	if allowed, err := s.allowed(ctx, u); err != nil || !allowed {
		return nil, refusal(err, errNotAllowed)
	}
	if c := s.cached(id); c != nil {
		return c, nil
	}
	if known, err := s.known(ctx, id); err != nil || !known {
		return nil, refusal(err, errNotAtHand)
	}
	if err := s.refresh(ctx, id, u); err != nil {
		return nil, err
	}
	if c := s.cached(id); c != nil {
		return c, nil
	}
	return nil, errNoDocument
}

// known reports whether it may be worth a request who a client is that no
// browser was sent with: somebody granted it something, or it may come with a
// grant of somebody's enterprise (draft-ietf-oauth-identity-assertion-authz-grant).
func (s *source) known(ctx context.Context, id string) (bool, error) {
	if s.has("authorization_grant_profiles_supported", profileIDJAG) {
		return true, nil
	}
	return s.hasGrant(ctx, id)
}

func (s *source) hasGrant(ctx context.Context, id string) (bool, error) {
	list, err := s.reg.Config().Store.ListTokens(ctx, store.TokenQuery{ClientID: id}, "", 1)
	return len(list) > 0, err
}

// Why there is no client, for the log; to the outside they are one.
var (
	errURL        = fmt.Errorf("%w: no metadata document can be at this URL", store.ErrNotFound)
	errNotAllowed = fmt.Errorf("%w: Config.Allow refuses this URL", store.ErrNotFound)
	errNotAtHand  = fmt.Errorf("%w: its metadata document is not at hand, and nobody has granted it anything", store.ErrNotFound)
	errNoDocument = fmt.Errorf("%w: its metadata document cannot be had", store.ErrNotFound)
)

// refusal is what is answered about a client that is not to be: an outage, or why.
func refusal(err, why error) error {
	if err != nil {
		return err
	}
	return why
}

func (s *source) allowed(ctx context.Context, u *url.URL) (bool, error) {
	if s.cfg.Allow == nil {
		return true, nil
	}
	ok, err := s.cfg.Allow(ctx, u)
	if err != nil {
		return false, fmt.Errorf("cimd: Allow: %w", err)
	}
	return ok, nil
}

// cached returns a copy of the client at hand, or nil.
func (s *source) cached(id string) *oauth.Client {
	var known *oauth.Client
	if pinned, ok := s.pinned[id]; ok {
		known = pinned()
	} else if e := s.cache.get(id); time.Now().Before(e.expires) {
		known = e.client
	}
	if known == nil {
		return nil
	}
	out := *known
	return &out
}

// pin makes the client of a pinned document when it is first asked for: only
// then is it known how clients can authenticate. There is none if not as this
// one does; in everything else New has found the document good.
func (s *source) pin(id string, document []byte) func() *oauth.Client {
	return sync.OnceValue(func() *oauth.Client {
		c, err := s.parse(id, document, false)
		if err != nil {
			return nil
		}
		return c
	})
}

// upToDate reports whether nothing is to be asked about the ID for now.
func (s *source) upToDate(id string) bool {
	_, pinned := s.pinned[id]
	return pinned || time.Now().Before(s.cache.get(id).fresh)
}

// refresh brings the cache up to date. Whoever asks for the same document
// meanwhile waits for the one request. It fails only if ctx ends or Allow does:
// a document that is not to be had is not an error, but no client.
func (s *source) refresh(ctx context.Context, id string, u *url.URL) error {
	if s.upToDate(id) {
		return nil
	}
	if allowed, err := s.allowed(ctx, u); err != nil || !allowed {
		return err
	}
	s.mu.Lock()
	done, running := s.calls[id]
	if !running {
		done = make(chan struct{})
		if s.calls == nil {
			s.calls = map[string]chan struct{}{}
		}
		s.calls[id] = done
	}
	s.mu.Unlock()
	if running {
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() {
		s.mu.Lock()
		delete(s.calls, id)
		s.mu.Unlock()
		close(done)
	}()
	// Others wait for this request: it does not end with the first who asked.
	s.fetch(context.WithoutCancel(ctx), id, u)
	return nil
}

var errTooMany = errors.New("too many requests for documents")

// fetch gets a document and keeps what became of it. An origin that fails for
// the moment leaves the old document in use until it expires; one that answers
// with no document ends it.
func (s *source) fetch(ctx context.Context, id string, u *url.URL) {
	if s.upToDate(id) { // somebody has just been here
		return
	}
	start := time.Now()
	client, life, err := s.get(ctx, id, u)
	at := time.Now()
	if err == nil {
		s.cache.put(id, entry{client: client, fresh: at.Add(life), expires: at.Add(life + s.cfg.StaleFor)})
		return
	}
	s.reg.Emit(ctx, oauth.Event{Kind: oauth.EventRequestRefused, ClientID: id, Detail: "client metadata document", Err: err})
	if errors.Is(err, errTooMany) {
		return // says nothing of the document
	}
	e := s.cache.get(id)
	if errors.Is(err, fetch.ErrAnswer) || errors.Is(err, errDocument) {
		e = entry{}
	}
	e.fresh = at.Add(failedFor)
	s.cache.put(id, e)
	// A stranger who measures must not learn what is behind an address.
	spent := time.Since(start)
	time.Sleep(min(spent.Truncate(failureStep)+failureStep, fetch.Timeout) - spent)
}

// room takes from what anybody may use. Only when that is used up does it ask
// whether the client is one that users have.
func (s *source) room(ctx context.Context, id string, u *url.URL) (release func(), err error) {
	if release, ok := s.strangers.take(u.Hostname()); ok {
		return release, nil
	}
	known, err := s.hasGrant(ctx, id)
	if err != nil {
		return nil, errors.Join(errTooMany, err)
	}
	if known {
		if release, ok := s.granted.take(u.Hostname()); ok {
			return release, nil
		}
	}
	return nil, errTooMany
}

func (s *source) get(ctx context.Context, id string, u *url.URL) (*oauth.Client, time.Duration, error) {
	release, err := s.room(ctx, id, u)
	if err != nil {
		return nil, 0, err
	}
	defer release()
	body, header, err := fetch.Get(ctx, s.cfg.HTTPClient, id, maxDocument)
	if err != nil {
		return nil, 0, err
	}
	client, err := s.parse(id, body, false)
	if err != nil {
		return nil, 0, err
	}
	return client, age(header, s.cfg.MinAge, s.cfg.MaxAge), nil
}
