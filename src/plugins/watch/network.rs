//! Which folders lie on file systems that do not tell of edits made elsewhere.

use std::path::{Path, PathBuf};

/// Where the kernel lists what is mounted.
const MOUNTS: &str = "/proc/self/mountinfo";

/// File systems whose files others change unseen: over a network, or on the machine that this one runs on.
const UNSEEN: &[&str] = &[
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "gfs2",
    "glusterfs",
    "lustre",
    "nfs",
    "nfs4",
    "ocfs2",
    "prl_fs",
    "smb3",
    "smbfs",
    "vboxsf",
    "virtiofs",
    "vmhgfs",
];

/// The kind of file system that `folder` lies on, when it is one of those.
pub(super) fn unseen(folder: &Path) -> Option<String> {
    kind_in(&std::fs::read_to_string(MOUNTS).ok()?, folder)
}

/// Of several mounts that cover the folder the deepest counts, of one place the last.
fn kind_in(mounts: &str, folder: &Path) -> Option<String> {
    let covering = mounts.lines().filter_map(mount).filter(|(point, _)| folder.starts_with(point));
    let (_, kind) = covering.max_by_key(|(point, _)| point.components().count())?;
    (UNSEEN.contains(&kind) || kind.starts_with("fuse.")).then(|| kind.to_owned())
}

/// `36 35 98:0 /root /mount/point options … - type source options`
fn mount(line: &str) -> Option<(PathBuf, &str)> {
    let (place, about) = line.split_once(" - ")?;
    let point = place.split(' ').nth(4)?;
    // A space in a name is written `\040`, a backslash `\134`.
    let point = point.replace("\\040", " ").replace("\\134", "\\");
    Some((PathBuf::from(point), about.split(' ').next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_decides() {
        let mounts = "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
                      40 22 0:40 / /srv rw - nfs4 nas:/srv rw\n\
                      41 40 0:41 / /srv/my\\040plugins/local rw - tmpfs tmpfs rw\n\
                      42 22 0:42 / /mnt/there rw - fuse.sshfs me@there: rw\n";
        let kind = |folder: &str| kind_in(mounts, Path::new(folder));
        assert_eq!(kind("/home/me"), None);
        assert_eq!(kind("/srv/my plugins").as_deref(), Some("nfs4"));
        assert_eq!(kind("/srv/my plugins/local/a"), None);
        assert_eq!(kind("/srvx"), None);
        assert_eq!(kind("/mnt/there/x").as_deref(), Some("fuse.sshfs"));
    }
}
