package api

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/access"
	"github.com/blox/blox/internal/httpserver"
)

// Programs depend on the codes, so each is unique and documented with its status.
func TestErrors_HaveDocumentedCodes(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z]\\w+)` \\| (\\d{3}) \\| [^|]+ \\|$").
		FindAllStringSubmatch(string(readme), -1) {
		documented[row[1]] = row[2]
	}
	want := map[string]string{
		access.CodeUnauthenticated: "401", access.CodeForbidden: "403", access.CodeReadOnly: "405",
		httpserver.CodeNotFound: "404", httpserver.CodeMethodNotAllowed: "405", httpserver.CodeCrossOrigin: "403",
		httpserver.CodeBodyTooLarge: "413", httpserver.CodeBodyTooSlow: "408", httpserver.CodeInternal: "500",
	}
	for _, response := range errorResponses {
		assert.NotContains(t, want, response.Code, "two errors with one code")
		assert.NotEmpty(t, http.StatusText(response.Status), response.Code)
		want[response.Code] = fmt.Sprint(response.Status)
	}
	assert.Equal(t, want, documented)
}
