package tlsconfig

import (
	"net/http"
	"sync"
	"time"
)

// Transport sends a client's requests with the newest certificates. It creates an http.Transport for each state of the
// files, so the standard library verifies certificates, behind proxies too.
func (c *Certificates) Transport() http.RoundTripper { return &transport{certificates: c} }

type transport struct {
	certificates *Certificates

	mu      sync.Mutex
	from    *loaded
	current *http.Transport
}

func (t *transport) newest() *http.Transport {
	newest := t.certificates.newest()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.from != newest {
		if t.current != nil {
			t.current.CloseIdleConnections() // and, once idle, those in use
		}
		t.from, t.current = newest, &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: newest.client.Clone(),
			TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 90 * time.Second,
		}
	}
	return t.current
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.newest().RoundTrip(r)
}

// CloseIdleConnections is called by http.Client's method of that name.
func (t *transport) CloseIdleConnections() { t.newest().CloseIdleConnections() }
