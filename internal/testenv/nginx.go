package testenv

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	texttemplate "text/template"

	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/harness"
	"github.com/blox/blox/internal/testenv/short"
)

// nginxConfig is what a user writes to serve a service below a path prefix. Everything else is nginx's default. The
// files that nginx writes stay in its folder.
var nginxConfig = texttemplate.Must(texttemplate.New("nginx.conf").Parse(`
daemon off;
master_process off;
error_log stderr;
pid nginx.pid;
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen {{.Address}};
    location {{.Prefix}}/ { proxy_pass {{.Upstream}}/; }
  }
}
`))

// Nginx runs an nginx that serves upstream, such as http://127.0.0.1:3000, below a path prefix, such as /blox. It
// returns the URL of the prefix, without a slash at its end. Nginx stops with the test. If the machine has no nginx,
// the test is skipped; with CI=true it fails. With -short the test is skipped as well.
func Nginx(tb testing.TB, upstream, prefix string) (url string) {
	tb.Helper()
	short.Skip(tb, "starts a process")
	path := Installed(tb, "nginx")
	dir, address := tb.TempDir(), FreeAddress(tb)
	var config strings.Builder
	require.NoError(tb, nginxConfig.Execute(&config, map[string]string{
		"Address": address, "Prefix": prefix, "Upstream": upstream,
	}))
	require.NoError(tb, os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(config.String()), 0o600))
	p := harness.NewProcess(harness.Config{
		Name: "nginx", Path: path, Args: []string{"-p", dir, "-c", "nginx.conf", "-e", "stderr"}, Dir: dir,
	})
	tb.Cleanup(func() {
		p.Kill()
		if tb.Failed() {
			tb.Logf("nginx: %s", p.Output())
		}
	})
	require.NoError(tb, p.Start())
	Eventually(tb, func() bool {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		return connection.Close() == nil
	}, "nginx does not listen")
	return "http://" + address + prefix
}
