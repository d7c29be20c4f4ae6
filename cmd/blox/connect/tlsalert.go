package connect

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"syscall"
	"time"
)

// alertTimeout limits how long a server may take to send a TLS alert.
const alertTimeout = time.Second

// tlsAlert connects once more, without writing, and returns the TLS alert by which the server rejects the client's
// certificate, or nil. With TLS 1.3 the alert arrives after the handshake, while the client already writes its request,
// so the request may fail with a write error that hides the alert.
func (s service) tlsAlert(ctx context.Context) error {
	u, err := parseEndpoint(s.endpoint)
	if err != nil || u.Scheme != "https" {
		return nil
	}
	transport, err := newTransport(s.cfg)
	if err != nil {
		return nil
	}
	address := u.Host
	if u.Port() == "" {
		address += ":443"
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	conn, err := (&tls.Dialer{Config: transport.TLSClientConfig}).DialContext(ctx, "tcp", address)
	if err == nil {
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(alertTimeout))
		_, err = conn.Read(make([]byte, 1))
	}
	if err != nil && isTLS(err) {
		return err
	}
	return nil
}

// mayMaskAlert reports whether err may hide a TLS alert.
func mayMaskAlert(err error) bool {
	var refused *ResponseError
	return !errors.As(err, &refused) && !isTLS(err) && !isTimeout(err) && !errors.Is(err, syscall.ECONNREFUSED) &&
		!errors.Is(err, http.ErrSchemeMismatch)
}
