package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// session is one authorization as its client knows it.
type session struct {
	client          string
	access, refresh string
	dead            bool // its end was acknowledged
}

// tally counts what happened, so that a run that saw nothing is not taken for
// one that went well.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
	errs   []error
}

func newTally() *tally { return &tally{counts: map[string]int{}} }

func (c *tally) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[what]++
}

func (c *tally) count(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[what]
}

// reaches returns once something has happened so often, or something went wrong.
func (c *tally) reaches(ctx context.Context, what string, n int) error {
	return c.waits(ctx, func() bool { return c.count(what) >= n })
}

// waits returns once done says so, or something went wrong.
func (c *tally) waits(ctx context.Context, done func() bool) error {
	for !done() && !c.failed() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

func (c *tally) failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.errs) > 0
}

func (c *tally) violation(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

// group is some programs that share a client, and race each other with its
// codes and tokens.
type group struct {
	*browser
	*tally
	client string
	racers int

	races, ends deck
	sessions    []*session // all that are alive, or whose end was acknowledged
	consent     consent
	unanswered  int // requests of anybody, before the last authorization
}

// consent is what a group knows of the user's consent to its client.
type consent int

const (
	unknown consent = iota // there is none yet, or a server could not say what it did
	granted
	withdrawn
)

// deck is chance without bad luck: of n draws in a row each number below n is
// drawn once, so that a run that is long enough has seen everything.
type deck struct {
	n    int
	left []int
}

func (d *deck) draw() int {
	if len(d.left) == 0 {
		d.left = rand.Perm(d.n)
	}
	next := d.left[0]
	d.left = d.left[1:]
	return next
}

// live goes through authorizations until the context ends. Requests go on to
// their end: drain is the context for that.
func (g *group) live(ctx, drain context.Context) {
	for ctx.Err() == nil {
		g.unanswered = g.count("unanswered")
		code, verifier, err := g.authorize(drain, g.client)
		if errors.Is(err, errOutage) {
			if g.consent == withdrawn {
				g.consent = unknown
			}
			continue
		}
		if err != nil {
			g.violation("%w", err)
			return
		}
		g.consent = granted
		g.add("codes")
		if g.races.draw() == 0 {
			g.raceForCode(drain, code, verifier)
			continue
		}
		s := g.redeem(drain, code, verifier)
		if s == nil {
			continue
		}
		g.sessions = append(g.sessions, s)
		for range 1 + rand.IntN(4) {
			g.raceToRefresh(drain, s)
		}
		g.checkAlive(drain, s)
		switch g.ends.draw() {
		case 0:
			g.revoke(drain, s)
		case 1:
			g.revokeConsent(drain)
			g.checkConsent(drain)
		case 2:
			g.checkConsent(drain)
		}
	}
}

// raceForCode: of any number of requests with one code at most one is given
// tokens, over any number of processes, retries and crashes (I-1); and once
// another valid one was refused, those tokens are dead.
func (g *group) raceForCode(ctx context.Context, code, verifier string) {
	answers := make([]answer, g.racers)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			a, err := g.until(ctx, "exchange "+code[:8], http.MethodPost, "/oauth/token", exchangeForm(g.client, code, verifier), "")
			if err != nil {
				g.violation("%w", err)
			}
			answers[i] = a
		})
	}
	wg.Wait()
	won := 0
	for _, a := range answers {
		switch {
		case a.status == http.StatusOK:
			won++
			g.sessions = append(g.sessions, &session{client: g.client, access: a.text("access_token"), refresh: a.text("refresh_token"), dead: true})
		case a.code != "invalid_grant":
			g.violation("exchange: %d %s", a.status, a.code)
		}
	}
	if won > 1 {
		g.violation("a code was redeemed %d times", won)
	}
	g.add("codes raced for")
}

// redeem exchanges the code and tries again as long as it gets no answer. If the
// answer that got lost was a success, the retry is replay: no session.
func (g *group) redeem(ctx context.Context, code, verifier string) *session {
	lost := false
	for {
		a := g.send(ctx, "exchange "+code[:8], http.MethodPost, "/oauth/token", exchangeForm(g.client, code, verifier), "")
		switch {
		case a.status == http.StatusOK:
			g.add("codes redeemed")
			return &session{client: g.client, access: a.text("access_token"), refresh: a.text("refresh_token")}
		case a.known() && lost && a.code == "invalid_grant":
			g.add("codes whose answer was lost")
			return nil
		case a.known():
			g.violation("a code that was never used was refused: %d %s", a.status, a.code)
			return nil
		case ctx.Err() != nil:
			g.violation("exchange: no answer")
			return nil
		}
		lost = true
	}
}

// raceToRefresh: all who refresh at once get the same successor (I-3), and none
// who tries again because an answer was lost is refused (I-5).
func (g *group) raceToRefresh(ctx context.Context, s *session) {
	answers := make([]answer, g.racers)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			a, err := g.until(ctx, "refresh "+s.refresh[:8], http.MethodPost, "/oauth/token", refreshForm(g.client, s.refresh), "")
			if err != nil {
				g.violation("%w", err)
			}
			answers[i] = a
		})
	}
	wg.Wait()
	next := answers[0]
	for _, a := range answers {
		switch {
		case a.status != http.StatusOK:
			g.violation("a live refresh token was refused: %d %s", a.status, a.code)
		case a.text("refresh_token") != next.text("refresh_token"):
			g.violation("a refresh token has two successors")
		}
	}
	if next.status == http.StatusOK {
		s.access, s.refresh = next.text("access_token"), next.text("refresh_token")
	}
	g.add("refreshes raced for")
}

// checkAlive: no token that a client received is unknown.
func (g *group) checkAlive(ctx context.Context, s *session) {
	a, err := g.until(ctx, "use", http.MethodGet, "/api/me", nil, s.access)
	if err != nil || a.status != http.StatusOK {
		g.violation("a live access token was refused: %d %w", a.status, err)
	}
	g.add("tokens used")
}

// checkDead: no revocation that was acknowledged is lost (I-6).
func (g *group) checkDead(ctx context.Context, s *session) {
	a, err := g.until(ctx, "use of a dead one", http.MethodGet, "/api/me", nil, s.access)
	if err != nil || a.status != http.StatusUnauthorized {
		g.violation("a revoked access token got %d %w", a.status, err)
	}
	a, err = g.until(ctx, "refresh of a dead one", http.MethodPost, "/oauth/token", refreshForm(s.client, s.refresh), "")
	if err != nil || a.code != "invalid_grant" {
		g.violation("a revoked refresh token got %d %s %w", a.status, a.code, err)
	}
	g.add("dead tokens tried")
}

func (g *group) revoke(ctx context.Context, s *session) {
	a, err := g.until(ctx, "revoke", http.MethodPost, "/oauth/revoke", url.Values{"client_id": {g.client}, "token": {s.refresh}}, "")
	if err != nil || a.status != http.StatusOK {
		g.violation("revoke: %d %w", a.status, err)
		return
	}
	s.dead = true
	g.checkDead(ctx, s)
	g.add("revocations")
}

// revokeConsent ends all that the client was given.
func (g *group) revokeConsent(ctx context.Context) {
	a, err := g.until(ctx, "revoke consent "+g.client, http.MethodPost, "/connections", url.Values{"client_id": {g.client}}, "")
	if err != nil || a.status != http.StatusSeeOther {
		g.violation("revoke consent: %d %w", a.status, err)
		return
	}
	for _, s := range g.sessions {
		s.dead = true
	}
	g.consent = withdrawn
	if g.count("unanswered") != g.unanswered { // what was cut off may still reach the database
		g.consent = unknown
	}
	g.checkDead(ctx, g.sessions[rand.IntN(len(g.sessions))])
	g.add("consents revoked")
}

// checkConsent: no consent that was acknowledged is lost, and none that was
// withdrawn is back. Nobody is asked: the consent is there, or it is not.
func (g *group) checkConsent(ctx context.Context) {
	for g.consent != unknown {
		switch _, _, err := g.prompted(ctx, g.client, []string{"none"}); {
		case errors.Is(err, errOutage) && ctx.Err() == nil:
			continue
		case g.consent == granted && err != nil:
			g.violation("a consent is lost: %w", err)
		case g.consent == withdrawn && !errors.Is(err, errNoConsent):
			g.violation("a consent that was withdrawn counts: %v", err)
		}
		g.add("consents looked for")
		return
	}
}

// audit looks at every session once more, at the end.
func (g *group) audit(ctx context.Context) {
	g.checkConsent(ctx)
	for _, s := range g.sessions {
		if s.dead {
			g.checkDead(ctx, s)
			continue
		}
		g.checkAlive(ctx, s)
		g.raceToRefresh(ctx, s)
	}
}
