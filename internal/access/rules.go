package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509/pkix"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// grant admits a client in a role.
type grant struct {
	role Role
	name string // of the token; empty for certificates
	// valid ends when the access file no longer has the grant, or the token expires. Streams end with it.
	valid  context.Context
	revoke context.CancelFunc
	key    string // equal for equal grants
}

type tokenGrant struct {
	*grant
	sum [32]byte
}

type certificateGrant struct {
	*grant
	Certificate
}

// rules are the grants of one state of an access file.
type rules struct {
	tokens       []tokenGrant
	certificates []certificateGrant
}

// newRules returns the rules of a file that ParseFile has accepted.
func newRules(f File) *rules {
	r := &rules{}
	for _, token := range f.Tokens {
		g := &grant{role: token.Role, name: token.Name, key: fmt.Sprintf("token %+v", token)}
		if token.Expires.IsZero() {
			g.valid, g.revoke = context.WithCancel(context.Background())
		} else {
			g.valid, g.revoke = context.WithDeadline(context.Background(), token.Expires)
		}
		sum, _ := token.sum() // ParseFile has checked it
		r.tokens = append(r.tokens, tokenGrant{g, sum})
	}
	for _, certificate := range f.Certificates {
		g := &grant{role: certificate.Role, key: fmt.Sprintf("certificate %+v", certificate)}
		g.valid, g.revoke = context.WithCancel(context.Background())
		r.certificates = append(r.certificates, certificateGrant{g, certificate})
	}
	return r
}

func (r *rules) grants() (all []*grant) {
	for _, t := range r.tokens {
		all = append(all, t.grant)
	}
	for _, c := range r.certificates {
		all = append(all, c.grant)
	}
	return all
}

// replace takes over the grants of earlier rules that are still the same, so that their streams continue. It returns
// the revocation of the others.
func (r *rules) replace(earlier *rules) (revoke func()) {
	old := map[string]*grant{}
	for _, g := range earlier.grants() {
		old[g.key] = g
	}
	for _, g := range r.grants() {
		if same, found := old[g.key]; found {
			g.revoke()
			g.valid, g.revoke = same.valid, same.revoke
			delete(old, g.key)
		}
	}
	return func() {
		for _, g := range old {
			g.revoke()
		}
	}
}

func (r *rules) close() {
	for _, g := range r.grants() {
		g.revoke()
	}
}

// token returns the grant of a bearer token; nil if there is none. The time that it takes does not depend on how much
// of the token is right.
func (r *rules) token(token string) *grant {
	sum := sha256.Sum256([]byte(token))
	var found *grant
	for _, t := range r.tokens {
		if subtle.ConstantTimeCompare(sum[:], t.sum[:]) == 1 {
			found = t.grant
		}
	}
	if found == nil || found.valid.Err() != nil {
		return nil
	}
	return found
}

// certificate returns the grant of the highest role that matches a certificate's subject; nil if there is none.
func (r *rules) certificate(subject pkix.Name) (best *grant) {
	for _, c := range r.certificates {
		if c.matches(subject) && (best == nil || c.grant.role > best.role) {
			best = c.grant
		}
	}
	return best
}

func (c Certificate) matches(subject pkix.Name) bool {
	return (c.CommonName == "" || c.CommonName == subject.CommonName) &&
		(c.OrganizationalUnit == "" || slices.Contains(subject.OrganizationalUnit, c.OrganizationalUnit))
}

// bearerToken returns the token of a request; empty if it has more than one. given is whether it has any. Other
// schemes, such as AWS signatures, are for proxies before the service.
func bearerToken(r *http.Request) (token string, given bool) {
	for _, header := range r.Header.Values("Authorization") {
		scheme, value, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			continue
		}
		if given {
			return "", true
		}
		token, given = strings.TrimSpace(value), true
	}
	return token, given
}

// subject returns the subject of a request's client certificate, if a trusted authority has signed that.
func subject(r *http.Request) (name pkix.Name, verified bool) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.PeerCertificates) == 0 {
		return name, false
	}
	return r.TLS.PeerCertificates[0].Subject, true
}
