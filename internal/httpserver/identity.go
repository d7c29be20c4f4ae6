package httpserver

import (
	"cmp"
	"context"
	"net/http"
)

// Identity is an authenticated client.
type Identity struct {
	Name string // for logs and events
	// Valid ends when the client's access is revoked; nil: never. Streams end with it.
	Valid context.Context
}

type identityKey struct{}

// WithIdentity returns the request with the identity of its client.
func WithIdentity(r *http.Request, client Identity) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), identityKey{}, client))
}

func identity(r *http.Request) (client Identity, known bool) {
	client, known = r.Context().Value(identityKey{}).(Identity)
	return client, known
}

// Client returns who sent a request: the authenticated client, else its address.
func Client(r *http.Request) string { return cmp.Or(AuthenticatedClient(r), r.RemoteAddr) }

// AuthenticatedClient returns the authenticated client of a request, else the subject of the client's certificate;
// empty if it has none.
func AuthenticatedClient(r *http.Request) string {
	if client, known := identity(r); known {
		return client.Name
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		return r.TLS.PeerCertificates[0].Subject.String()
	}
	return ""
}
