package connect

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"syscall"
	"time"
)

// alertWithin is how long a server is given to say what it has against the client's certificate.
const alertWithin = time.Second

// alert is what an https server says against the client's certificate, or nil. With TLS 1.3 it says so after the handshake, when the
// client writes its request already: which of the two fails first is chance, so the question is put again, with nothing written.
func (s service) alert(ctx context.Context) error {
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
		_ = conn.SetReadDeadline(time.Now().Add(alertWithin))
		_, err = conn.Read(make([]byte, 1))
	}
	if err != nil && isTLS(err) {
		return err
	}
	return nil
}

// mayHideAlert tells whether err can be all that is left of an alert.
func mayHideAlert(err error) bool {
	var refused *Refused
	return !errors.As(err, &refused) && !isTLS(err) && !isTimeout(err) && !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, http.ErrSchemeMismatch)
}
