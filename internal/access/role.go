package access

import "fmt"

// Role is what a client may do. Each role includes the ones before it.
type Role int

// HeaderRole is the header of responses with the role of the client, or "public" for a client without a role. Responses
// have it if the service has an access file and knows the client. The pages show what the role permits.
const HeaderRole = "Blox-Role"

// The roles.
const (
	Public   Role = iota // needs no credentials
	Viewer               // reads and follows streams
	Operator             // acts on what exists
	Admin                // creates and deletes, too
)

var roleNames = []string{Public: "public", Viewer: "viewer", Operator: "operator", Admin: "admin"}

// RoleNames are the roles that an access file may grant.
var RoleNames = roleNames[Viewer:]

func (r Role) String() string { return roleNames[r] }

// MarshalText implements encoding.TextMarshaler.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Role) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRole(string(text))
	return err
}

// ParseRole returns the role with that name.
func ParseRole(name string) (Role, error) {
	for role := Viewer; role <= Admin; role++ {
		if role.String() == name {
			return role, nil
		}
	}
	return Public, fmt.Errorf("role %.100q: must be viewer, operator or admin", name)
}
