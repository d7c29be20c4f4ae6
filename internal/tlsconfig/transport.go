package tlsconfig

import (
	"net/http"
	"sync"
	"time"
)

// Transport is for requests of a client with c. It has a transport of net/http for each state of the files, so that what
// the standard library checks is what is checked, behind a proxy too.
func (c *Certificates) Transport() http.RoundTripper { return &transport{certificates: c} }

type transport struct {
	certificates *Certificates

	mu      sync.Mutex
	from    *loaded
	current *http.Transport
}

func (t *transport) latest() *http.Transport {
	latest := t.certificates.latest()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.from != latest {
		if t.current != nil {
			t.current.CloseIdleConnections() // and those in use once they are idle
		}
		t.from, t.current = latest, &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: latest.client.Clone(),
			TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 90 * time.Second,
		}
	}
	return t.current
}

// RoundTrip is http.RoundTripper's.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.latest().RoundTrip(r)
}

// CloseIdleConnections is what http.Client's calls.
func (t *transport) CloseIdleConnections() { t.latest().CloseIdleConnections() }
