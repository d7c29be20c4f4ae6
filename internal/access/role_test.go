package access

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/testenv"
)

// Pages show what the role permits, so it follows the file.
func TestServer_SendsTheRoleOfTheClient(t *testing.T) {
	s := start(t)
	role := func(as credentials, method, path string) []string {
		response := s.do(as, method, path)
		return response.Header.Values(HeaderRole)
	}
	assert.Equal(t, []string{"viewer"}, role(token("vera"), "GET", s.url+"/v1/things"))
	assert.Equal(t, []string{"viewer"}, role(token("vera"), "DELETE", s.url+"/v1/things"), "of a rejected request, too")
	assert.Equal(t, []string{"admin"}, role(token("ada"), "GET", s.url+"/v1/things"))
	assert.Equal(t, []string{"viewer"}, role(token("ada"), "GET", s.readOnly+"/v1/things"), "at the address for reads")
	assert.Empty(t, role(token("unknown"), "GET", s.url+"/v1/things"))
	s.write("tokens:\n" + entry("vera", "operator"))
	testenv.Eventually(t, func() bool {
		return slices.Equal(role(token("vera"), "GET", s.url+"/v1/things"), []string{"operator"})
	}, "the role stays")
}
