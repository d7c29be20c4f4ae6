package access

import "net/http"

// Policy has the role that each operation needs.
type Policy struct {
	mux *http.ServeMux
}

// NewPolicy returns a policy from roles by the patterns of http.ServeMux, such as "POST /v1/environments". Operations
// without a pattern need Viewer if they are GET or HEAD, and Admin otherwise.
func NewPolicy(roles map[string]Role) Policy {
	mux := http.NewServeMux()
	for pattern, role := range roles {
		mux.Handle(pattern, roleHandler(role))
	}
	return Policy{mux}
}

// roleHandler is what the policy's mux finds for a request. It never serves.
type roleHandler Role

func (roleHandler) ServeHTTP(http.ResponseWriter, *http.Request) {}

// Role returns the role that a request needs.
func (p Policy) Role(r *http.Request) Role {
	handler, _ := p.mux.Handler(r)
	if role, found := handler.(roleHandler); found {
		return Role(role)
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return Viewer
	}
	return Admin
}
