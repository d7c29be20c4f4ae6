package testenv

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/harness"
)

// Proxy is a TCP proxy that a test can disconnect.
type Proxy struct {
	proxy *harness.Proxy
}

// NewProxy starts a proxy to host:port, which ends with the test. The target need not listen yet.
func NewProxy(tb testing.TB, to string) *Proxy {
	tb.Helper()
	proxy, err := harness.NewProxy(to)
	require.NoError(tb, err)
	tb.Cleanup(proxy.Close)
	return &Proxy{proxy}
}

// Address returns the address on which the proxy listens.
func (p *Proxy) Address() string { return p.proxy.Address() }

// SetDisconnected closes every connection and, while down is true, rejects new ones.
func (p *Proxy) SetDisconnected(down bool) { p.proxy.SetDisconnected(down) }
