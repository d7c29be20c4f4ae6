package ecssim

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Cloud serves simulators of several accounts and regions at one address. It passes a call to the simulator of the
// region that the call's signature names, and of the account of its credentials: that of the assumed role, or home's.
// Home alone has roles. The control API at /_sim/ is home's, unless its parameters account and region name another
// simulator.
type Cloud struct {
	home   *Sim
	places map[place]*Sim
}

type place struct{ account, region string }

// NewCloud returns a Cloud of home and others, which the caller closes.
func NewCloud(home *Sim, others ...*Sim) *Cloud {
	c := &Cloud{home: home, places: map[place]*Sim{home.place(): home}}
	for _, s := range others {
		c.places[s.place()] = s
	}
	return c
}

func (s *Sim) place() place { return place{s.cfg.Account, s.cfg.Region} }

// scopePattern matches the scope of a signature: access key, date, region and service.
var scopePattern = regexp.MustCompile(`Credential=[^/]+/[0-9]+/([a-z0-9-]+)/([a-z]+)/`)

// roleKey is the key of the context of a call whose signer Cloud has found out.
type roleKey struct{}

// ServeHTTP implements http.Handler.
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_sim/") {
		c.control(w, r)
		return
	}
	scope := scopePattern.FindStringSubmatch(r.Header.Get("Authorization"))
	if scope == nil || scope[2] == serviceSTS {
		c.home.ServeHTTP(w, r)
		return
	}
	role, err := c.home.signer(r)
	if err != nil { // home's answer says the same
		c.home.ServeHTTP(w, r)
		return
	}
	to := place{c.home.cfg.Account, scope[1]}
	if match := rolePattern.FindStringSubmatch(role); match != nil {
		to.account = match[1]
	}
	s := c.places[to]
	if s == nil {
		writeResponse(w, route(r, nil).protocol, nil, &apiError{code: "UnrecognizedClientException", message: fmt.Sprintf(
			"The simulator has no account %s in region %s.", to.account, to.region)})
		return
	}
	s.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), roleKey{}, role)))
}

// control passes a request of the control API to the simulator that its parameters account and region name.
func (c *Cloud) control(w http.ResponseWriter, r *http.Request) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || !query.Has("account") && !query.Has("region") {
		c.home.ServeHTTP(w, r) // reports the error
		return
	}
	named := place{
		cmp.Or(query.Get("account"), c.home.cfg.Account), cmp.Or(query.Get("region"), c.home.cfg.Region),
	}
	s := c.places[named]
	if s == nil {
		writeJSON(w, http.StatusNotFound, map[string]string{"error": fmt.Sprintf(
			"the simulator has no account %.20q in region %.50q", named.account, named.region)})
		return
	}
	query.Del("account")
	query.Del("region")
	r = r.Clone(r.Context())
	r.URL.RawQuery = query.Encode()
	s.ServeHTTP(w, r)
}
