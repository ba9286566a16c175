package cimd

import (
	"context"
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-e797c9ce/oauth/internal/fetch"
)

// What the guarded client refuses is tested where it is made; here, that
// documents are fetched with it. Names that resolve to this machine cannot be
// relied on in a test, so it is asked for an address.
func TestSEC230_DefaultClientConnectsToPublicAddressesOnly(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	for _, ports := range [][]uint16{nil, {port}} {
		cfg := Config{Ports: ports}.withDefaults()
		_, _, err = fetch.Get(context.Background(), cfg.HTTPClient, fmt.Sprintf("https://127.0.0.1:%d/c", port), 10)
		assert.ErrorIs(t, err, fetch.ErrBlocked)
	}
}
