package pkg

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rind-project/rind/internal/fleet/job/function/hosttest"
)

// others are taken away, so that the host has one package manager.
func others(keep string) []string {
	var all []string
	for _, p := range providers() {
		if p.name != keep {
			for _, program := range p.programs {
				all = append(all, "/usr/bin/"+program)
			}
		}
	}
	return all
}

func TestRealApt(t *testing.T) {
	t.Parallel()
	hosttest.Run(t, hosttest.Setup{
		Programs: []string{"/usr/bin/apt-get", "/usr/bin/dpkg-deb", "/usr/bin/ip"},
		Hide:     append(others("apt"), "/etc/apt/sources.list.d", "/etc/apt/apt.conf.d/docker-clean", "/var/lib/apt/lists"),
		Files:    map[string]string{"/etc/apt/sources.list": "deb [trusted=yes] file:" + repo + " ./\n", "/etc/apt/apt.conf.d/test": "Acquire::Retries 0;\n"},
	}, func(t *testing.T) {
		publish := func(t *testing.T, name, version, run string) {
			sh(t, `mkdir -p /tmp/b/DEBIAN /tmp/b/usr/share/$1 `+repo+`
				echo $2 >/tmp/b/usr/share/$1/version
				printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: A Test <test@example.org>\nDescription: a test\n' $1 $2 >/tmp/b/DEBIAN/control
				printf '#!/bin/sh\n%s\n' "$3" >/tmp/b/DEBIAN/postinst; chmod 755 /tmp/b/DEBIAN/postinst
				dpkg-deb -Znone -b /tmp/b `+repo+`/$1_$2.deb
				{ cat /tmp/b/DEBIAN/control; stat -c 'Size: %s' `+repo+`/$1_$2.deb; echo "Filename: ./$1_$2.deb"
				  echo SHA256: $(sha256sum <`+repo+`/$1_$2.deb | cut -c1-64); echo; } >>`+repo+`/Packages
				rm -r /tmp/b`, name, version, run)
		}
		repository{publish: publish, older: true, unknown: "rind-", busy: "Could not get lock", unreached: repo}.real(t)
		aptServer(t)
	})
}

// aptServer has a server that answered, and does no longer: no failure for apt,
// left alone.
func aptServer(t *testing.T) {
	sh(t, `ip link set lo up; mv `+repo+`.away `+repo+`; cd `+repo+`
		printf 'Suite: a\nCodename: a\nSHA256:\n %s %s Packages\n' $(sha256sum <Packages | cut -c1-64) $(stat -c %s Packages) >Release`)
	server := httptest.NewServer(http.FileServer(http.Dir(repo)))
	defer server.Close()
	sh(t, `echo "deb [trusted=yes] $1/ ./" >/etc/apt/sources.list`, server.URL)
	value(t, "pkg.refresh", true)
	server.Close()
	fails(t, "Failed to fetch "+server.URL, "pkg.refresh")
}

// rpms makes a repository of RPM packages.
func rpms(t *testing.T, name, version, run string) {
	sh(t, `mkdir -p /tmp/b `+repo+`; cd /tmp/b
		printf 'Name: %s\nVersion: %s\nRelease: 1\nSummary: a test\nLicense: MIT\nBuildArch: noarch\nProvides: /bin/sh\n%%description\na test\n' $1 $2 >a.spec
		printf '%%install\nmkdir -p %%{buildroot}/usr/share/%s\necho %s >%%{buildroot}/usr/share/%s/version\n' $1 $2 $1 >>a.spec
		printf '%%post\n%s\ntrue\n%%files\n/usr/share/%s\n' "$3" $1 >>a.spec
		rpmbuild -bb --define '_topdir /tmp/b' --define '_rpmdir `+repo+`' a.spec
		createrepo_c -q `+repo, name, version, run)
}

const (
	repoFile = "[probe]\nname=probe\nbaseurl=file://" + repo + "\ngpgcheck=0\nenabled=1\nautorefresh=0\n"
	rpmPath  = "%_dbpath /var/lib/rpm\n" // Debian's rpm has it at home, its zypper here
)

func TestRealDnf(t *testing.T) {
	t.Parallel()
	hosttest.Run(t, hosttest.Setup{
		Programs: []string{"/usr/bin/dnf", "/usr/bin/rpm", "/usr/bin/rpmbuild", "/usr/bin/createrepo_c"},
		Hide:     others("dnf"),
		Files:    map[string]string{"/etc/yum.repos.d/probe.repo": repoFile, "/root/.rpmmacros": rpmPath},
	}, func(t *testing.T) {
		repository{publish: rpms, release: "-1", older: true, unknown: "Unable to find a match: rind-", busy: "The application with PID", unreached: "Failed to download metadata for repo 'probe'"}.real(t)
	})
}

func TestRealZypper(t *testing.T) {
	t.Parallel()
	hosttest.Run(t, hosttest.Setup{
		Programs: []string{"/usr/bin/zypper", "/usr/bin/rpm", "/usr/bin/rpmbuild", "/usr/bin/createrepo_c"},
		Hide:     others("zypper"),
		Files:    map[string]string{"/etc/zypp/repos.d/probe.repo": repoFile, "/root/.rpmmacros": rpmPath},
	}, func(t *testing.T) {
		repository{publish: rpms, release: "-1", older: true, unknown: "No provider of 'rind-", busy: "locked by the application with pid", unreached: "Could not refresh the repositories"}.real(t)
	})
}

func TestRealPacman(t *testing.T) {
	t.Parallel()
	hosttest.Run(t, hosttest.Setup{
		Programs: []string{"/usr/bin/pacman", "/usr/bin/repo-add", "/usr/bin/bsdtar"},
		Hide:     others("pacman"),
		Files:    map[string]string{"/etc/pacman.conf": "[options]\nArchitecture = auto\nSigLevel = Never\n[probe]\nServer = file://" + repo + "\n"},
	}, func(t *testing.T) {
		publish := func(t *testing.T, name, version, run string) {
			sh(t, `mkdir -p /tmp/b/usr/share/$1 `+repo+`; cd /tmp/b
				echo $2 >usr/share/$1/version
				printf 'pkgname = %s\npkgbase = %s\npkgver = %s-1\npkgdesc = a test\nbuilddate = 1700000000\nsize = 4\narch = any\n' $1 $1 $2 >.PKGINFO
				printf 'post_install() {\n%s\ntrue\n}\n' "$3" >.INSTALL
				bsdtar -czf `+repo+`/$1-$2-1-any.pkg.tar.gz .PKGINFO .INSTALL usr
				repo-add -q `+repo+`/probe.db.tar.gz `+repo+`/$1-$2-1-any.pkg.tar.gz
				touch -d "@$((1700000000 + 60 * $(ls `+repo+` | wc -l)))" `+repo+`/probe.db.tar.gz # it fetches what is newer by a second
				rm -r /tmp/b`, name, version, run)
		}
		publish(t, "os", "1", "")
		sh(t, "pacman -Sy --noconfirm os") // no list at all is a failure
		repository{publish: publish, release: "-1", unknown: "target not found: rind-", busy: "unable to lock database", unreached: "failed to synchronize all databases"}.real(t)
	})
}
