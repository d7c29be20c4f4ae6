// Command awsstandin stands in for what surrounds ECS and SQS in AWS, which the simulator does not have. It logs each
// time that it serves something.
//
//	awsstandin metadata HOP_LIMIT      instance metadata of an EC2 instance with a role, on 8080; IMDSv2 only
//	awsstandin sso CERT KEY            portal of IAM Identity Center, HTTPS on 443; accepts the access token "renewed"
//	awsstandin https CERT KEY URL      HTTPS endpoint in front of URL, on 443
package main

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"time"
)

const (
	address       = ":8080"
	secureAddress = ":443"
	session       = "session"
	listing       = "/latest/meta-data/iam/security-credentials/"
	role          = "instance-role"
	accessToken   = "renewed"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(args []string) error {
	mux := http.NewServeMux()
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	switch {
	case len(args) == 2 && args[0] == "metadata":
		hops, err := strconv.Atoi(args[1])
		if err != nil {
			return fmt.Errorf("hop limit: %w", err)
		}
		serveMetadata(mux, hops)
		return server.ListenAndServe()
	case len(args) == 3 && args[0] == "sso":
		mux.HandleFunc("GET /federation/credentials", federate)
		server.Addr = secureAddress
		return server.ListenAndServeTLS(args[1], args[2])
	case len(args) == 4 && args[0] == "https":
		target, err := url.Parse(args[3])
		if err != nil {
			return err
		}
		front := httputil.NewSingleHostReverseProxy(target)
		mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			log.Printf("served %s over https", r.Host)
			front.ServeHTTP(w, r)
		})
		server.Addr = secureAddress
		return server.ListenAndServeTLS(args[1], args[2])
	}
	return fmt.Errorf("unknown arguments: %q", args)
}

// serveMetadata serves a role's credentials. A response with a session token may cross as many hops as the limit: with
// one, it reaches the instance, but no container on it.
func serveMetadata(mux *http.ServeMux, hopLimit int) {
	mux.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, r *http.Request) {
		if hopLimit < 2 {
			log.Printf("lost a session token on the way to %s", r.RemoteAddr)
			<-r.Context().Done()
			return
		}
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "300")
		fmt.Fprint(w, session)
	})
	mux.HandleFunc("GET "+listing+"{name...}", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("X-Aws-Ec2-Metadata-Token") != session:
			w.WriteHeader(http.StatusUnauthorized)
		case r.PathValue("name") == "":
			fmt.Fprint(w, role)
		case r.PathValue("name") == role:
			now := time.Now().UTC()
			fmt.Fprintf(w, `{"Code": "Success", "Type": "AWS-HMAC",
				"AccessKeyId": "any", "SecretAccessKey": "any", "Token": "any",
				"LastUpdated": %q, "Expiration": %q}`, now.Format(time.RFC3339), now.Add(time.Hour).Format(time.RFC3339))
			log.Printf("served the role's credentials to %s", r.RemoteAddr)
		default:
			http.NotFound(w, r)
		}
	})
}

// federate serves the credentials of a user who has signed in.
func federate(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Amz-Sso_bearer_token") != accessToken {
		log.Printf("refused %s", r.RemoteAddr)
		w.Header().Set("X-Amzn-Errortype", "UnauthorizedException")
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"message": "Session token not found or invalid"}`)
		return
	}
	fmt.Fprintf(w, `{"roleCredentials": {"accessKeyId": "any", "secretAccessKey": "any", "sessionToken": "any",
		"expiration": %d}}`, time.Now().Add(time.Hour).UnixMilli())
	log.Printf("served the user's credentials to %s", r.RemoteAddr)
}
