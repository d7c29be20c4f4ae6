package tlsconfig

import (
	"crypto/tls"
	"errors"
)

// selfCheckName is the server name by which a service that asks itself is known. It opens nothing: see selfCheck.
const selfCheckName = "self.blox.internal"

var errNotSelf = errors.New("not the server's own certificate")

// SelfCheck is for a client that asks the server on its own machine which has these files, to learn no more than that it
// is there. Where clients must have a certificate it shows the server's, as that may not be good for a client.
func SelfCheck(files Files) (*tls.Config, error) {
	// The certificate is not for the loopback address, and may be about to be replaced. No secret is told.
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: selfCheckName, InsecureSkipVerify: true}
	if files.CA == "" {
		return cfg, nil
	}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	cfg.Certificates = []tls.Certificate{pair}
	return cfg, err
}

// selfCheck takes, of a client that must have a certificate, the server's own and no other: who holds its key is the server.
func (l *loaded) selfCheck() *tls.Config {
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
