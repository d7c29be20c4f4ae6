package access

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/internal/tlsconfig"
)

// entry is the entry of the token "<name>-token" in an access file.
func entry(name, role string) string {
	return "  - {name: " + name + ", role: " + role + ", sha256: " + Hash(name+"-token") + "}\n"
}

var exampleFile = "tokens:\n" + entry("vera", "viewer") + entry("otto", "operator") + entry("ada", "admin") + `
certificates:
  - {commonName: scheduler, role: operator}
  - {organizationalUnit: platform, role: viewer}
  - {organizationalUnit: platform, commonName: root, role: admin}
  - {commonName: server, role: admin}
`

var examplePolicy = NewPolicy(map[string]Role{
	"GET /v1/ping": Public, "POST /v1/things/{name}/act": Operator,
})

// served is a running server whose handler responds with the client's name.
type served struct {
	t        *testing.T
	ca       *testenv.CA
	file     string
	url      string
	readOnly string
	log      *buffer
	registry *prometheus.Registry
	server   *Server
	cfg      Config
}

// buffer is a log.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// start serves over TLS with the example file, until the test ends.
func start(t *testing.T) *served {
	t.Helper()
	s := &served{
		t: t, ca: testenv.NewCA(t), file: filepath.Join(t.TempDir(), "access.yml"), log: &buffer{},
		registry: prometheus.NewRegistry(),
	}
	s.write(exampleFile)
	log := testenv.Logger(t)
	log.SetOutput(io.MultiWriter(t.Output(), s.log))
	s.cfg = Config{
		Options: Options{File: s.file, ReadOnlyBind: "127.0.0.1:0"}, Bind: "127.0.0.1:0", TLS: s.ca.Files("server"),
		Policy: examplePolicy, Log: log, Metrics: s.registry, reloadInterval: 20 * time.Millisecond,
	}
	s.cfg.ClientCertOptional = true
	require.Empty(t, s.cfg.Validate(s.cfg.TLS))
	var err error
	s.server, err = Listen(s.cfg)
	require.NoError(t, err)
	s.url, s.readOnly = "https://"+s.server.Addr().String(), "https://"+s.server.readOnly.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, httpserver.Client(r)) })
	mux.HandleFunc("GET /v1/stream", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := httpserver.StreamContext(r)
		defer cancel()
		_, _ = io.WriteString(w, "begun\n")
		_ = http.NewResponseController(w).Flush()
		<-ctx.Done()
		_, _ = io.WriteString(w, "ended\n")
	})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.server.Serve(ctx, mux) }()
	t.Cleanup(func() { stop(); assert.NoError(t, <-ended) })
	return s
}

// write replaces the access file.
func (s *served) write(text string) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(s.file+".new", []byte(text), 0o600))
	require.NoError(s.t, os.Rename(s.file+".new", s.file))
}

// credentials are what a request is sent with.
type credentials struct {
	authorization string
	tls           *tls.Config // nil without a client certificate
}

func (s *served) do(c credentials, method, url string) *http.Response {
	s.t.Helper()
	if c.tls == nil {
		c.tls = s.clientTLS(tlsconfig.Files{CA: s.ca.File})
	}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: c.tls, ForceAttemptHTTP2: true}
	s.t.Cleanup(transport.CloseIdleConnections)
	request, err := http.NewRequestWithContext(s.t.Context(), method, url, nil)
	require.NoError(s.t, err)
	request.Header.Set("Accept", httpserver.ContentTypeProblem)
	if c.authorization != "" {
		request.Header.Set("Authorization", c.authorization)
	}
	response, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Do(request)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { response.Body.Close() })
	return response
}

func (s *served) clientTLS(files tlsconfig.Files) *tls.Config {
	certificates, err := tlsconfig.Load(files, testenv.Logger(s.t))
	require.NoError(s.t, err)
	return certificates.Client()
}

func token(name string) credentials { return credentials{authorization: "Bearer " + name + "-token"} }

func TestServer_AuthorizesByRole(t *testing.T) {
	s := start(t)
	certificate := func(name, unit string) credentials {
		return credentials{tls: s.clientTLS(s.ca.Files(name, testenv.Leaf{OrganizationalUnit: unit}))}
	}
	withToken := certificate("scheduler", "")
	withToken.authorization = "bearer vera-token"
	self := credentials{tls: s.clientTLS(s.cfg.TLS)} // what --healthcheck shows, which no authority has signed
	self.tls.ServerName, self.tls.InsecureSkipVerify = "self.blox.internal", true
	const read, act, admin = "GET /v1/things", "POST /v1/things/x/act", "DELETE /v1/things/x"
	for name, tc := range map[string]struct {
		with    credentials
		request string
		status  int
		body    string // the client's name, or the detail of the problem
	}{
		"nothing, public":             {credentials{}, "GET /v1/ping", 200, "127.0.0.1:"},
		"wrong token, public":         {token("eve"), "GET /v1/ping", 200, "127.0.0.1:"},
		"token, public":               {token("vera"), "GET /v1/ping", 200, "vera"},
		"nothing":                     {credentials{}, read, 401, "The request has no credentials"},
		"nothing, HEAD":               {credentials{}, "HEAD /v1/things", 401, ""},
		"wrong token":                 {token("eve"), read, 401, "The bearer token is unknown or has expired"},
		"empty token":                 {credentials{authorization: "Bearer "}, read, 401, "The bearer token is unknown"},
		"other scheme":                {credentials{authorization: "Basic dmVyYTp2ZXJhLXRva2Vu"}, read, 401, "no credentials"},
		"viewer reads":                {token("vera"), read, 200, "vera"},
		"viewer, HEAD":                {token("vera"), "HEAD /v1/things", 200, ""},
		"viewer acts":                 {token("vera"), act, 403, "vera has the role viewer; POST /v1/things/x/act needs the role operator"},
		"viewer, unclean path":        {token("vera"), "POST //v1//things/x/act", 403, "vera has the role viewer"},
		"viewer, PUT":                 {token("vera"), "PUT /v1/ping", 403, "needs the role admin"},
		"operator acts":               {token("otto"), act, 200, "otto"},
		"operator deletes":            {token("otto"), admin, 403, "otto has the role operator"},
		"admin deletes":               {token("ada"), admin, 200, "ada"},
		"admin acts":                  {token("ada"), act, 200, "ada"},
		"certificate by name":         {certificate("scheduler", ""), act, 200, "CN=scheduler"},
		"certificate, role too low":   {certificate("scheduler", ""), admin, 403, "CN=scheduler has the role operator"},
		"certificate by unit":         {certificate("vic", "platform"), read, 200, "CN=vic,OU=platform"},
		"certificate, highest role":   {certificate("root", "platform"), admin, 200, "CN=root,OU=platform"},
		"name without its unit":       {certificate("root", "other"), read, 403, "CN=root,OU=other has no role"},
		"certificate, public":         {certificate("stranger", ""), "GET /v1/ping", 200, "CN=stranger"},
		"token before certificate":    {withToken, act, 403, "vera has the role viewer"},
		"own certificate, unverified": {self, read, 401, "no credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			method, path, _ := strings.Cut(tc.request, " ")
			response := s.do(tc.with, method, s.url+path)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			assert.Equal(t, tc.status, response.StatusCode, "%s", body)
			assert.Contains(t, string(body), tc.body)
			assert.NotContains(t, string(body), "eve-token")
			assert.Equal(t, tc.status == 401, response.Header.Get("WWW-Authenticate") != "")
			if tc.status == 200 || method == http.MethodHead {
				return
			}
			var problem struct{ Code string }
			require.NoError(t, json.Unmarshal(body, &problem))
			assert.Equal(t, map[int]string{401: CodeUnauthenticated, 403: CodeForbidden}[tc.status], problem.Code)
		})
	}
	assert.Equal(t, "Bearer", s.do(credentials{}, "GET", s.url+"/v1/things").Header.Get("WWW-Authenticate"))
	assert.Equal(t, `Bearer error="invalid_token"`,
		s.do(token("eve"), "GET", s.url+"/v1/things").Header.Get("WWW-Authenticate"))
	require.NoError(t, httpserver.Healthcheck(t.Context(), s.server.Addr().String(), "/v1/ping", s.cfg.TLS))
	assert.Contains(t, s.log.String(), "client=otto", "the log names the client")
	assert.NotContains(t, s.log.String(), "-token", "no log contains a token")
}

func (s *served) status(c credentials) int { return s.do(c, "GET", s.url+"/v1/things").StatusCode }

func (s *served) awaitStatus(c credentials, want int) {
	s.t.Helper()
	testenv.Eventually(s.t, func() bool { return s.status(c) == want }, "not %d", want)
}

func (s *served) reloadFailures() float64 {
	s.t.Helper()
	return testenv.Metric(s.t, s.registry, "access_file_reload_failures_total")
}

func TestServer_ReloadsTheAccessFile(t *testing.T) {
	s := start(t)
	require.Equal(t, 200, s.status(token("vera")))
	s.write("tokens:\n" + entry("eve", "viewer"))
	s.awaitStatus(token("eve"), 200)
	assert.Equal(t, 401, s.status(token("vera")))
	assert.Contains(t, s.log.String(), "access file reloaded")
	assert.Zero(t, s.reloadFailures())

	for _, broken := range []string{"tokens:\n  - {name: eve, role: vie", ""} {
		before := s.reloadFailures()
		s.write(broken)
		testenv.Eventually(t, func() bool { return s.reloadFailures() > before+1 }, "the failures are not counted")
		assert.Equal(t, 200, s.status(token("eve")), "the earlier file stays in use")
	}
	require.NoError(t, os.Remove(s.file))
	before := s.reloadFailures()
	testenv.Eventually(t, func() bool { return s.reloadFailures() > before+1 })
	assert.Equal(t, 200, s.status(token("eve")))
	assert.Contains(t, s.log.String(), "failed to reload the access file; the earlier one stays in use")

	s.write(exampleFile)
	s.awaitStatus(token("vera"), 200)
	assert.Equal(t, 401, s.status(token("eve")))
	assert.Contains(t, s.log.String(), "the access file is valid again")
}

func TestServer_EndsStreamsOfRevokedClients(t *testing.T) {
	s := start(t)
	stream := func(c credentials) (line func() string) {
		response := s.do(c, "GET", s.url+"/v1/stream")
		require.Equal(t, 200, response.StatusCode)
		lines := bufio.NewReader(response.Body)
		line = func() string {
			text, _ := lines.ReadString('\n')
			return text
		}
		require.Equal(t, "begun\n", line())
		return line
	}
	certificate := credentials{tls: s.clientTLS(s.ca.Files("scheduler"))}
	removed, changed, kept := stream(token("vera")), stream(token("otto")), stream(token("ada"))
	subject := stream(certificate)
	s.write("tokens:\n" + entry("otto", "viewer") + entry("ada", "admin") +
		"certificates: [{commonName: other, role: viewer}]\n")
	for _, line := range []func() string{removed, changed, subject} {
		assert.Equal(t, "ended\n", line())
		assert.Empty(t, line(), "the response ends")
	}
	assert.Equal(t, 403, s.status(certificate))
	assert.Equal(t, 200, s.status(token("otto")))
	last := make(chan string)
	go func() { last <- kept() }()
	s.write("tokens:\n" + entry("ada", "admin") + entry("vera", "viewer"))
	s.awaitStatus(token("vera"), 200)
	select {
	case line := <-last:
		t.Fatalf("the stream of a token that stays ended: %q", line)
	default:
	}
	s.write("tokens:\n" + entry("vera", "viewer"))
	assert.Equal(t, "ended\n", <-last)
}

func TestServer_ServesReadsOnlyAtTheReadOnlyAddress(t *testing.T) {
	s := start(t)
	for _, method := range []string{"GET", "HEAD"} {
		assert.Equal(t, 200, s.do(credentials{}, method, s.readOnly+"/v1/things").StatusCode)
	}
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"} {
		response := s.do(token("ada"), method, s.readOnly+"/v1/things")
		assert.Equal(t, 405, response.StatusCode, method)
		assert.Equal(t, "GET, HEAD", response.Header.Get("Allow"))
		var problem struct{ Code string }
		require.NoError(t, json.NewDecoder(response.Body).Decode(&problem))
		assert.Equal(t, CodeReadOnly, problem.Code)
	}
	response := s.do(credentials{}, "GET", s.readOnly+"/v1/stream")
	line, err := bufio.NewReader(response.Body).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "begun\n", line)
	response.Body.Close()
}

func TestListen_RejectsUnusableFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.yml")
	cfg := func() Config {
		return Config{
			Options: Options{File: file}, Bind: "127.0.0.1:0", Policy: examplePolicy, Log: testenv.Logger(t),
			Metrics: prometheus.NewRegistry(),
		}
	}
	_, err := Listen(cfg())
	assert.ErrorContains(t, err, "--access-file: open "+file)
	require.NoError(t, os.WriteFile(file, []byte(exampleFile), 0o600))
	_, err = Listen(cfg())
	assert.ErrorContains(t, err, "certificates need --client-ca")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	both := cfg()
	both.File, both.ReadOnlyBind = "", taken.Addr().String()
	_, err = Listen(both)
	assert.ErrorContains(t, err, "--read-only-bind: ")
}

func TestOptions_RejectCombinationsThatAdmitEveryone(t *testing.T) {
	trusted := tlsconfig.Files{CA: "ca.pem"}
	assert.Equal(t, []string{
		`--read-only-bind "x": must be host:port`,
		"--client-cert-optional needs --access-file: clients would need no credentials at all",
	}, Options{ReadOnlyBind: "x", ClientCertOptional: true}.Validate(trusted))
	assert.Equal(t, []string{"--client-cert-optional needs --client-ca"},
		Options{File: "x", ClientCertOptional: true}.Validate(tlsconfig.Files{}))
	assert.Empty(t, Options{File: "x", ReadOnlyBind: ":1", ClientCertOptional: true}.Validate(trusted))
}
