package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/portico-api/portico/serving/pki"
	"github.com/portico-api/portico/test/rig"
)

// peer is another program that can stand in front of the backend. Each is configured as it should be for many requests: connections to the
// backend stay open, its certificate is verified, and nothing is logged.
type peer struct {
	name   string // and the program's
	config string // text of its configuration; DIR, PORT, BACKEND and NAME are filled in
	args   []string
}

var peers = []peer{
	{"nginx", `
daemon off; master_process off; worker_rlimit_nofile 4096; pid DIR/nginx.pid; error_log DIR/nginx.log crit;
events { worker_connections 2048; }
http {
  access_log off;
  client_body_temp_path DIR/t1; proxy_temp_path DIR/t2; fastcgi_temp_path DIR/t3; uwsgi_temp_path DIR/t4; scgi_temp_path DIR/t5;
  upstream things { server BACKEND; keepalive 256; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:PORT ssl http2; ssl_certificate DIR/tls.crt; ssl_certificate_key DIR/tls.key; keepalive_requests 100000000;
    location / {
      proxy_pass https://things; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_ssl_verify on; proxy_ssl_trusted_certificate DIR/ca.crt; proxy_ssl_name NAME; proxy_ssl_server_name on;
    }
  }
}
`, []string{"-p", "DIR", "-c", "CONFIG"}},
	{"haproxy", `
global
  nbthread 2
  maxconn 2048
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend front
  bind 127.0.0.1:PORT ssl crt DIR/tls.pem alpn h2,http/1.1
  default_backend things
backend things
  server one BACKEND ssl verify required ca-file DIR/ca.crt verifyhost NAME sni str(NAME)
`, []string{"-db", "-q", "-f", "CONFIG"}},
	{"caddy", `
{
  admin off
  auto_https off
}
https://:PORT {
  bind 127.0.0.1
  tls DIR/tls.crt DIR/tls.key
  reverse_proxy https://BACKEND {
    transport http {
      tls_trusted_ca_certs DIR/ca.crt
      tls_server_name NAME
      keepalive_idle_conns_per_host 512
    }
  }
}
`, []string{"run", "--adapter", "caddyfile", "--config", "CONFIG"}},
}

// openPeers starts those of the peers that are installed in front of backend, whose certificate and authority they take as theirs.
func (s *street) openPeers(backend string, made *pki.PKI) error {
	dir := filepath.Join(s.dir, "peers")
	if err := layOut(dir, made); err != nil {
		return fmt.Errorf("preparing other fronts: %w", err)
	}
	for _, p := range peers {
		program, err := exec.LookPath(p.name)
		if err != nil {
			continue
		}
		port, err := rig.FreePort()
		if err != nil {
			return err
		}
		config := filepath.Join(dir, p.name+".conf")
		fill := strings.NewReplacer("DIR", dir, "PORT", strconv.Itoa(port), "BACKEND", backend, "NAME", rig.ThingsHost, "CONFIG", config)
		if err := os.WriteFile(config, []byte(fill.Replace(p.config)), 0o600); err != nil {
			return err
		}
		args := make([]string, len(p.args))
		for i, arg := range p.args {
			args[i] = fill.Replace(arg)
		}
		if s.fronts[p.name], err = rig.StartAt("https://"+net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), program, args...); err != nil {
			return err
		}
	}
	return nil
}

// layOut writes the files that the configurations name.
func layOut(dir string, made *pki.PKI) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	files := map[string][]string{
		"tls.crt": {made.Serving.CertFile}, "tls.key": {made.Serving.KeyFile}, "ca.crt": {made.CA.CertFile},
		"tls.pem": {made.Serving.CertFile, made.Serving.KeyFile},
	}
	for name, parts := range files {
		var text []byte
		for _, part := range parts {
			read, err := os.ReadFile(part)
			if err != nil {
				return err
			}
			text = append(text, read...)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
