package crash

import (
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy stands between a server and its database and loses answers: it passes a
// request on, waits until the database answers it, and then resets the
// connection. What was asked for has been done, and nobody is told.
//
// That the first byte of an answer has come means that it is done: PostgreSQL
// and MariaDB send what they have to say of a statement that commits by itself
// after the commit, and Redis its reply after the AOF is written.
type proxy struct {
	listen net.Listener
	target string
	every  int64 // one answer in so many is lost

	answers atomic.Int64
	left    atomic.Int64 // to lose
	wg      sync.WaitGroup
	mu      sync.Mutex
	open    map[net.Conn]bool // nil once the test has ended
}

// startProxy starts one that loses one answer in so many, once it is told how
// many it may lose. It returns the address of the store through it.
func startProxy(t *testing.T, store string, every int) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(store)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listen: l, target: u.Host, every: int64(every), open: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	u.Host = l.Addr().String()
	return p, u.String()
}

func (p *proxy) close() {
	p.listen.Close()
	p.mu.Lock()
	for c := range p.open {
		c.Close()
	}
	p.open = nil
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *proxy) accept() {
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		if !p.keep(client, server) {
			return
		}
		asked := &atomic.Bool{}
		p.wg.Go(func() { p.requests(client, server, asked) })
		p.wg.Go(func() { p.replies(client, server, asked) })
	}
}

// keep notes that the connections are open; false if the test has ended.
func (p *proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.open == nil {
			c.Close()
			continue
		}
		p.open[c] = true
	}
	return p.open != nil
}

func (p *proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(p.open, c)
	}
}

func (p *proxy) requests(client, server net.Conn, asked *atomic.Bool) {
	defer p.drop(client, server)
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		asked.Store(true) // before it is passed on, so that its answer finds it
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) replies(client, server net.Conn, asked *atomic.Bool) {
	defer p.drop(client, server)
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			return
		}
		if asked.Swap(false) && p.loses() {
			_ = client.(*net.TCPConn).SetLinger(0) // a reset, not an end
			return
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// loses decides about the next answer.
func (p *proxy) loses() bool {
	return p.answers.Add(1)%p.every == 0 && p.left.Add(-1) >= 0
}
