package otel_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	apitrace "go.opentelemetry.io/otel/trace"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/otel"
	"github.com/seed-e797c9ce/oauth/store"
)

// observed is a provider, and what OpenTelemetry has of it.
type observed struct {
	t      *testing.T
	p      *oauth.Provider
	secret string // of the client "cron"
	spans  *tracetest.InMemoryExporter
	traces *trace.TracerProvider
	reader *metric.ManualReader
	down   bool // nobody can say who is signed in
}

func newObserved(t *testing.T) *observed {
	o := &observed{t: t, spans: tracetest.NewInMemoryExporter(), reader: metric.NewManualReader()}
	o.traces = trace.NewTracerProvider(trace.WithSyncer(o.spans))
	telemetry, err := otel.New(o.traces, metric.NewMeterProvider(metric.WithReader(o.reader)))
	require.NoError(t, err)
	o.p, err = oauth.New(oauth.Config{
		Issuer: "https://auth.example", Store: store.NewMemory(), LoginURL: "/login", Scopes: map[string]string{"read": "Read"},
		Session: func(*http.Request) (oauth.Session, error) {
			if o.down {
				return oauth.Session{}, io.ErrUnexpectedEOF
			}
			return oauth.Session{}, nil
		},
		Observe: telemetry.Observe, OnEvent: telemetry.OnEvent, Logger: slog.New(slog.DiscardHandler),
		Policy: oauth.Policy{BcryptCost: 4},
	})
	require.NoError(t, err)
	_, o.secret, err = o.p.RegisterClient(t.Context(), oauth.Client{ID: "cron", GrantTypes: []string{"client_credentials"}, Scopes: []string{"read"}})
	require.NoError(t, err)
	_, _, err = o.p.RegisterClient(t.Context(), oauth.Client{ID: "app", Public: true, RedirectURIs: []string{"https://app.example/cb"}, Scopes: []string{"read"}})
	require.NoError(t, err)
	return o
}

func (o *observed) token(secret string) int {
	r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader("grant_type=client_credentials"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("cron", secret)
	w := httptest.NewRecorder()
	o.p.ServeHTTP(w, r)
	return w.Code
}

// metrics returns every point, as "metric attributes".
func (o *observed) metrics() map[string]uint64 {
	var all metricdata.ResourceMetrics
	require.NoError(o.t, o.reader.Collect(o.t.Context(), &all))
	out := map[string]uint64{}
	for _, s := range all.ScopeMetrics {
		assert.Equal(o.t, "github.com/seed-e797c9ce/oauth/otel", s.Scope.Name)
		for _, m := range s.Metrics {
			key := func(set attribute.Set) string { return m.Name + " " + set.Encoded(attribute.DefaultEncoder()) }
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				assert.True(o.t, d.IsMonotonic)
				for _, p := range d.DataPoints {
					out[key(p.Attributes)] = uint64(p.Value)
				}
			case metricdata.Histogram[float64]:
				assert.Equal(o.t, "s", m.Unit)
				for _, p := range d.DataPoints {
					out[key(p.Attributes)] = p.Count
					assert.Less(o.t, p.Sum, 60.0)
				}
			}
		}
	}
	return out
}

func TestRequestsAreCountedByOutcome(t *testing.T) {
	o := newObserved(t)
	require.Equal(t, 200, o.token(o.secret))
	require.Equal(t, 200, o.token(o.secret))
	require.Equal(t, 401, o.token("wrong"))
	assert.Equal(t, map[string]uint64{
		"oauth.server.requests http.response.status_code=200,oauth.endpoint=token,oauth.outcome=ok":             2,
		"oauth.server.requests http.response.status_code=401,oauth.endpoint=token,oauth.outcome=invalid_client": 1,
		"oauth.server.duration oauth.endpoint=token,oauth.outcome=ok":                                           2,
		"oauth.server.duration oauth.endpoint=token,oauth.outcome=invalid_client":                               1,
		"oauth.server.events oauth.event=client_changed":                                                        2,
		"oauth.server.events oauth.event=token_issued":                                                          2,
		"oauth.server.events oauth.event=client_auth_failed":                                                    1,
	}, o.metrics())
}

func TestARequestIsASpanBelowTheCallers(t *testing.T) {
	o := newObserved(t)
	ctx, parent := o.traces.Tracer("app").Start(t.Context(), "app")
	r := httptest.NewRequestWithContext(ctx, "GET", "/.well-known/oauth-authorization-server", nil)
	o.p.ServeHTTP(httptest.NewRecorder(), r)
	o.token("wrong")
	spans := o.spans.GetSpans()
	require.Len(t, spans, 2)
	assert.Equal(t, "oauth metadata", spans[0].Name)
	assert.Equal(t, apitrace.SpanKindServer, spans[0].SpanKind)
	assert.Equal(t, parent.SpanContext().SpanID(), spans[0].Parent.SpanID())
	assert.Equal(t, codes.Unset, spans[0].Status.Code)
	assert.Equal(t, "oauth token", spans[1].Name)
	assert.Equal(t, codes.Unset, spans[1].Status.Code, "a client's mistake is no fault of the server")
	require.Len(t, spans[1].Events, 1)
	assert.Equal(t, "oauth.client_auth_failed", spans[1].Events[0].Name)
	assert.ElementsMatch(t, []attribute.KeyValue{
		attribute.String("oauth.endpoint", "token"), attribute.String("oauth.outcome", "invalid_client"), attribute.Int("http.response.status_code", 401),
	}, spans[1].Attributes)
}

func authorize() *http.Request {
	return httptest.NewRequest("GET", "/oauth/authorize?"+url.Values{
		"client_id": {"app"}, "redirect_uri": {"https://app.example/cb"}, "response_type": {"code"},
		"code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"}, "state": {"state-of-the-test"},
	}.Encode(), nil)
}

func TestAnOutageIsAnErrorAlsoWhenItIsRedirected(t *testing.T) {
	o := newObserved(t)
	o.down = true
	w := httptest.NewRecorder()
	o.p.ServeHTTP(w, authorize())
	require.Equal(t, http.StatusSeeOther, w.Code)
	spans := o.spans.GetSpans()
	require.Len(t, spans, 1)
	assert.Equal(t, codes.Error, spans[0].Status.Code)
	assert.Equal(t, "temporarily_unavailable", spans[0].Status.Description)
}

func TestNothingTellsWhoOrWhat(t *testing.T) {
	o := newObserved(t)
	o.token(o.secret)
	o.token("wrong-secret")
	o.p.ServeHTTP(httptest.NewRecorder(), authorize())
	var told strings.Builder
	for _, s := range o.spans.GetSpans() {
		told.WriteString(s.Name)
		for _, kv := range s.Attributes {
			told.WriteString(string(kv.Key) + "=" + kv.Value.String() + " ")
		}
		for _, e := range s.Events {
			told.WriteString(e.Name)
			assert.Empty(t, e.Attributes)
		}
	}
	for name := range o.metrics() {
		told.WriteString(name)
	}
	for _, secret := range []string{o.secret, "wrong-secret", "cron", "app.example", "state-of-the-test", strings.Repeat("a", 43)} {
		assert.NotContains(t, told.String(), secret)
	}
}

func TestNilIsTheGlobalProviders(t *testing.T) {
	o, err := otel.New(nil, nil)
	require.NoError(t, err)
	ctx, done := o.Observe(t.Context(), "token")
	assert.NotNil(t, ctx)
	done("ok", 200)
	o.OnEvent(ctx, oauth.Event{Kind: oauth.EventTokenIssued})
}
