package awsconfig

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
)

const testRole = "arn:aws:iam::123456789012:role/operator"

// reloadFixture is a simulated AWS, and a client of ECS with the credentials of the shared files.
type reloadFixture struct {
	*ecssim.Sim
	t           *testing.T
	url         string
	credentials string // path
	ecs         *ecs.Client
}

func newReloadFixture(t *testing.T) *reloadFixture {
	cleanEnv(t)
	f := &reloadFixture{Sim: ecssim.New(ecssim.Config{}), t: t, credentials: filepath.Join(t.TempDir(), "credentials")}
	server := httptest.NewServer(f.Sim)
	t.Cleanup(func() {
		f.Close()
		server.Close()
	})
	f.url = server.URL
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", f.credentials)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return f
}

// load creates the client, as a service does once when it starts.
func (f *reloadFixture) load() {
	f.t.Setenv("AWS_ENDPOINT_URL_ECS", f.url)
	cfg, err := Load(f.t.Context(), env(map[string]string{"AWS_REGION": "us-east-1"}))
	require.NoError(f.t, err)
	f.ecs, err = ECS(cfg, env(nil))
	require.NoError(f.t, err)
}

func (f *reloadFixture) call() error {
	_, err := f.ecs.ListClusters(f.t.Context(), &ecs.ListClustersInput{}, NoRetry)
	return err
}

// profile returns a credentials file with new temporary credentials of the simulator.
func (f *reloadFixture) profile() string {
	client := sts.New(sts.Options{
		Region: "us-east-1", BaseEndpoint: &f.url, Credentials: credentials.NewStaticCredentialsProvider("any", "any", ""),
		HTTPClient: BufferBodies(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}),
	})
	out, err := client.AssumeRole(f.t.Context(),
		&sts.AssumeRoleInput{RoleArn: aws.String(testRole), RoleSessionName: aws.String("test")})
	require.NoError(f.t, err)
	return fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_session_token = %s\n",
		*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
}

// write writes the credentials file in place, or renames a new file over it.
func (f *reloadFixture) write(text string, rename bool) {
	path := f.credentials
	if rename {
		path += ".new"
	}
	require.NoError(f.t, os.WriteFile(path, []byte(text), 0o600))
	if rename {
		require.NoError(f.t, os.Rename(path, f.credentials))
	}
}

func TestLoad_RereadsRewrittenCredentials(t *testing.T) {
	for name, rename := range map[string]bool{"written in place": false, "renamed over": true} {
		t.Run(name, func(t *testing.T) {
			f := newReloadFixture(t)
			f.write(f.profile(), rename)
			f.load()
			require.NoError(t, f.call())
			f.ExpireRoles()
			require.ErrorContains(t, f.call(), "ExpiredTokenException")
			f.write(f.profile(), rename)
			require.NoError(t, f.call())
		})
	}
}

// A reader can see a file between the writer's truncation and its last byte.
func TestLoad_KeepsCredentialsWhenTheFileIsIncomplete(t *testing.T) {
	f := newReloadFixture(t)
	whole := f.profile()
	f.write(whole, false)
	f.load()
	require.NoError(t, f.call())
	for _, part := range []string{"", "[default]\n", whole[:30], "[def"} {
		f.write(part, false)
		require.NoError(t, f.call(), "%q", part)
	}
	require.NoError(t, os.Remove(f.credentials))
	require.NoError(t, f.call())
	f.ExpireRoles()
	require.Error(t, f.call())
	f.write(f.profile(), false)
	require.NoError(t, f.call())
}

func TestLoad_FindsAFileThatIsCreatedLater(t *testing.T) {
	f := newReloadFixture(t)
	f.load()
	require.ErrorContains(t, f.call(), "no AWS credentials found")
	f.write(f.profile(), true)
	require.NoError(t, f.call())
}

// The SDK would use revoked credentials of a role until they expire.
func TestLoad_AssumesARoleAgainWhenAWSRefusesIt(t *testing.T) {
	f := newReloadFixture(t)
	t.Setenv("AWS_ENDPOINT_URL_STS", f.url)
	f.write("[default]\nrole_arn = "+testRole+"\nsource_profile = own\n"+
		"[own]\naws_access_key_id = any\naws_secret_access_key = any\n", false)
	f.load()
	require.NoError(t, f.call())
	f.ExpireRoles()
	require.ErrorContains(t, f.call(), "ExpiredTokenException")
	require.NoError(t, f.call())
	assert.Equal(t, 2, f.RoleCalls("", "AssumeRole"))

	// Credentials that AWS rejects for good are not assumed again for every call.
	f.SetFaults(ecssim.Faults{Refusals: map[string]ecssim.Refusal{
		"ListClusters": {Code: "UnrecognizedClientException", Fraction: 1},
	}})
	for range 20 {
		require.ErrorContains(t, f.call(), "UnrecognizedClientException")
	}
	assert.Equal(t, 2, f.RoleCalls("", "AssumeRole"))
}

func TestLoad_ReadsTheTokenOfARenewedSSOLogin(t *testing.T) {
	f := newReloadFixture(t)
	t.Setenv("HOME", t.TempDir())
	var accepted atomic.Value // token
	accepted.Store("first")
	portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Sso_bearer_token") != accepted.Load() {
			w.Header().Set("X-Amzn-Errortype", "UnauthorizedException")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"message":"Session token not found or invalid"}`))
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"roleCredentials": map[string]any{
			"accessKeyId": "any", "secretAccessKey": "any", "sessionToken": "any",
			"expiration": time.Now().Add(-time.Second).UnixMilli(), // every call needs new ones
		}})
	}))
	t.Cleanup(portal.Close)
	t.Setenv("AWS_ENDPOINT_URL_SSO", portal.URL)
	path := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.WriteFile(path, []byte("[default]\nsso_session = corp\nsso_account_id = 123456789012\n"+
		"sso_role_name = operator\n[sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://corp/start\n"), 0o600))
	t.Setenv("AWS_CONFIG_FILE", path)
	token, err := ssocreds.StandardCachedTokenFilepath("corp")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(token), 0o700))
	login := func(name string) {
		text := fmt.Sprintf(`{"accessToken":%q,"expiresAt":%q}`, name, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		require.NoError(t, os.WriteFile(token, []byte(text), 0o600))
	}
	login("first")
	f.load()
	require.NoError(t, f.call())
	accepted.Store("second")
	require.Error(t, f.call())
	login("second")
	require.NoError(t, f.call())
}

func TestLoad_EndsWithTheCallWhileCredentialsAreReloaded(t *testing.T) {
	static := credentials.NewStaticCredentialsProvider("any", "any", "")
	blocked, release := make(chan struct{}), make(chan struct{})
	r := newReloading(static, sharedFiles(), func(context.Context) (aws.CredentialsProvider, error) {
		close(blocked)
		<-release
		return static, nil
	})
	r.reloaded = nil // as if a file had changed
	done := make(chan error, 1)
	go func() {
		_, err := r.Retrieve(t.Context())
		done <- err
	}()
	<-blocked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.Retrieve(ctx)
	require.ErrorIs(t, err, context.Canceled)
	close(release)
	require.NoError(t, <-done)
}
