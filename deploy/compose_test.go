package deploy

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/awsconfig"
)

var composeVariable = regexp.MustCompile(`\$\{(\w+)(?::-([^}]*))?\}`)

// interpolate replaces the variables in a text of a compose file as docker-compose does.
func interpolate(text string, host map[string]string) string {
	return composeVariable.ReplaceAllStringFunc(text, func(variable string) string {
		parts := composeVariable.FindStringSubmatch(variable)
		if value := host[parts[1]]; value != "" {
			return value
		}
		return parts[2]
	})
}

// containerEnvironment gives this process the AWS variables of a service's container on a host with these variables,
// and no shared files. It returns the container's other variables, too.
func containerEnvironment(t *testing.T, service string, host map[string]string) func(string) string {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") || name == "ECS_ENDPOINT" {
			t.Setenv(name, "")
			require.NoError(t, os.Unsetenv(name))
		}
	}
	home := t.TempDir()
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(home, "credentials"))
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(home, "config"))
	environment := map[string]string{}
	compose := readYAML(t, "../docker-compose.yml")
	variables, ok := at(compose, "services", service, "environment").(map[string]any)
	require.True(t, ok)
	for name, value := range variables {
		if name == "<<" { // YAML's merge key
			for name, value := range value.(map[string]any) {
				environment[name] = interpolate(value.(string), host)
			}
			continue
		}
		environment[name] = interpolate(value.(string), host)
	}
	for name, value := range environment {
		if strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, value)
		}
	}
	return func(name string) string { return environment[name] }
}

// metadataStandIn serves the credentials of an instance role as an EC2 instance does, with IMDSv2 only.
func metadataStandIn(t *testing.T) *httptest.Server {
	const token, role = "session", "blox-role"
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "300")
		_, _ = w.Write([]byte(token))
	})
	const path = "GET /latest/meta-data/iam/security-credentials/"
	guard := func(r *http.Request) bool { return r.Header.Get("X-Aws-Ec2-Metadata-Token") == token }
	mux.HandleFunc(path+"{$}", func(w http.ResponseWriter, r *http.Request) {
		if !guard(r) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(role))
	})
	mux.HandleFunc(path+role, func(w http.ResponseWriter, r *http.Request) {
		if !guard(r) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{
			"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIAROLE", "SecretAccessKey": "secret", "Token": "token",
			"LastUpdated": time.Now().Format(time.RFC3339), "Expiration": time.Now().Add(time.Hour).Format(time.RFC3339),
		})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func TestCompose_UsesTheRoleOfTheInstance(t *testing.T) {
	for _, service := range []string{"cluster-state-service", "daemon-scheduler"} {
		t.Run(service, func(t *testing.T) {
			getenv := containerEnvironment(t, service, map[string]string{
				"AWS_REGION": "eu-west-1", "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadataStandIn(t).URL,
			})
			cfg, err := awsconfig.Load(t.Context(), getenv)
			require.NoError(t, err)
			found, err := cfg.Credentials.Retrieve(t.Context())
			require.NoError(t, err)
			assert.Equal(t, "ASIAROLE", found.AccessKeyID)
		})
	}
}

func TestCompose_PrefersTheDefaultProfileToTheRole(t *testing.T) {
	getenv := containerEnvironment(t, "daemon-scheduler", map[string]string{
		"AWS_REGION": "eu-west-1", "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadataStandIn(t).URL,
	})
	require.NoError(t, os.WriteFile(os.Getenv("AWS_SHARED_CREDENTIALS_FILE"),
		[]byte("[default]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = secret\n"), 0o600))
	cfg, err := awsconfig.Load(t.Context(), getenv)
	require.NoError(t, err)
	found, err := cfg.Credentials.Retrieve(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "AKIAPROFILE", found.AccessKeyID)
}

// hostRecorder is an HTTP client that sends nothing and records the host of the last request.
type hostRecorder struct{ host string }

func (r *hostRecorder) Do(request *http.Request) (*http.Response, error) {
	r.host = request.URL.Host
	return nil, errors.New("not sent")
}

func TestCompose_PassesOnTheEndpointVariants(t *testing.T) {
	for variable, host := range map[string]string{
		"AWS_USE_FIPS_ENDPOINT":      "ecs-fips.us-east-1.amazonaws.com",
		"AWS_USE_DUALSTACK_ENDPOINT": "ecs.us-east-1.api.aws",
	} {
		t.Run(variable, func(t *testing.T) {
			getenv := containerEnvironment(t, "cluster-state-service",
				map[string]string{"AWS_REGION": "us-east-1", variable: "true"})
			cfg, err := awsconfig.Load(t.Context(), getenv)
			require.NoError(t, err)
			recorder := &hostRecorder{}
			cfg.HTTPClient, cfg.Credentials = recorder, aws.AnonymousCredentials{}
			client, err := awsconfig.ECS(cfg, getenv)
			require.NoError(t, err)
			_, err = client.ListClusters(t.Context(), &ecs.ListClustersInput{}, awsconfig.NoRetry)
			require.Error(t, err)
			assert.Equal(t, host, recorder.host)
		})
	}
}

func TestCompose_PassesOnTheCABundle(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		_, _ = w.Write([]byte("{}"))
	}))
	defer server.Close()
	bundle := filepath.Join(t.TempDir(), "bundle.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(t, os.WriteFile(bundle, certificate, 0o600))
	host := map[string]string{"AWS_REGION": "us-east-1", "AWS_CA_BUNDLE": bundle, "AWS_ENDPOINT_URL": server.URL}
	getenv := containerEnvironment(t, "cluster-state-service", host)
	cfg, err := awsconfig.Load(t.Context(), getenv)
	require.NoError(t, err)
	cfg.Credentials = aws.AnonymousCredentials{}
	client, err := awsconfig.ECS(cfg, getenv)
	require.NoError(t, err)
	_, err = client.ListClusters(t.Context(), &ecs.ListClustersInput{}, awsconfig.NoRetry)
	require.NoError(t, err)

	var mounted []string
	compose := readYAML(t, "../docker-compose.yml")
	for _, volume := range asList(at(compose, "services", "cluster-state-service", "volumes")) {
		mounted = append(mounted, interpolate(volume.(string), host))
	}
	assert.Contains(t, mounted, bundle+":"+bundle+":ro", "the container has the file at the same path")
}

// YAML's anchors end with the file, so replicas.yml repeats them.
func TestCompose_GivesReplicasTheSameAWSSettings(t *testing.T) {
	single, replicas := readYAML(t, "../docker-compose.yml"), readYAML(t, "docker/replicas.yml")
	for _, key := range []string{"x-aws", "x-aws-files"} {
		require.NotNil(t, single[key])
		assert.Equal(t, single[key], replicas[key], key)
	}
	for _, service := range []string{"cluster-state-service-2", "daemon-scheduler-2"} {
		assert.Equal(t, single["x-aws-files"], at(replicas, "services", service, "volumes"), service)
		assert.Contains(t, asList(at(replicas, "services", service, "environment", "<<")), single["x-aws"], service)
	}
}
