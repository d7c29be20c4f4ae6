package api

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestFingerprint_TellsRequestsApart(t *testing.T) {
	of := func(method, target, body, subject string) string {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		if subject != "" {
			r.TLS = &tls.ConnectionState{
				PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: subject}}},
			}
		}
		return fingerprint(r, []byte(body))
	}
	base := of("POST", "/v1/environments/logs/pause?a=1&b=2", "{}", "alice")
	assert.Equal(t, base, of("POST", "/v1/environments/logs/pause?b=2&a=1", "{}", "alice"), "parameters have no order")
	for name, other := range map[string]string{
		"another method":      of("PATCH", "/v1/environments/logs/pause?a=1&b=2", "{}", "alice"),
		"another path":        of("POST", "/v1/environments/log/pause?a=1&b=2", "{}", "alice"),
		"another query":       of("POST", "/v1/environments/logs/pause?a=1&b=3", "{}", "alice"),
		"another body":        of("POST", "/v1/environments/logs/pause?a=1&b=2", "{} ", "alice"),
		"another client":      of("POST", "/v1/environments/logs/pause?a=1&b=2", "{}", "bob"),
		"no certificate":      of("POST", "/v1/environments/logs/pause?a=1&b=2", "{}", ""),
		"parts cut elsewhere": of("POST", "/v1/environments/logs/pause?a=1&b=2{", "}", "alice"),
	} {
		assert.NotEqual(t, base, other, name)
	}
	plain := httptest.NewRequest("POST", "/v1/environments", nil)
	moved := httptest.NewRequest("POST", "/v1/environments", nil)
	moved.RemoteAddr = "192.0.2.9:999"
	assert.Equal(t, fingerprint(plain, nil), fingerprint(moved, nil), "a retry may use another connection")
}
