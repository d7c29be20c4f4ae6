package tlsconfig

import (
	"crypto/tls"
	"errors"
)

// selfCheckName is the server name of a service's check of itself. It grants nothing: see selfCheckConfig.
const selfCheckName = "self.blox.internal"

var errNotSelf = errors.New("not the server's own certificate")

// SelfCheck returns the configuration of a client that checks whether the server with these files on its own machine is
// up. If the server requires client certificates, the client shows the server's own, which may not be valid for
// clients.
func SelfCheck(files Files) (*tls.Config, error) {
	// The certificate is not valid for the loopback address and may be about to be replaced. The client sends no
	// secret.
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: selfCheckName, InsecureSkipVerify: true}
	if files.CA == "" {
		return cfg, nil
	}
	from, err := files.read()
	if err != nil {
		return nil, err
	}
	pair, err := keyPair(from)
	if err != nil {
		return nil, err
	}
	cfg.Certificates = []tls.Certificate{*pair}
	return cfg, nil
}

// selfCheckConfig accepts the server's own certificate as a client certificate and no other. The holder of its key is
// the server.
func (l *loaded) selfCheckConfig() *tls.Config {
	if l.trusted == nil || l.own == nil {
		return l.server
	}
	cfg := l.server.Clone()
	cfg.ClientAuth, cfg.ClientCAs = tls.RequireAnyClientCert, nil
	own := l.own.Leaf
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 || !state.PeerCertificates[0].Equal(own) {
			return errNotSelf
		}
		return nil
	}
	return cfg
}
